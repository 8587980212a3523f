"""`python -m calibration_data dataset`."""

import argparse

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from calibration_data.generator.dataset import dataset_specs
from calibration_data.generator.generate import generate
from calibration_data.generator.render_command import add_drawing
from calibration_data.generator.test_split import DATASET
from calibration_data.generator.tools import prepare_tools

INTERRUPTED = "stopped: the same command again goes on from here"
SPLITS = {"train": 9000, "validation": 480, "test": 600, "unseen_kit": 200}
"""Screens of each split of the training set."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dataset`."""
    add = parser.add_argument_group("what").add_argument
    add("--seed", type=int, default=0, help="another seed, other screens (default %(default)s)")
    for split, count in SPLITS.items():
        add(
            f"--{split.replace('_', '-')}",
            type=_count,
            default=count,
            metavar="N",
            help=f"screens of split {split} (default %(default)s)",
        )
    add_drawing(parser, DATASET, "build/screens")


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def run(options: argparse.Namespace) -> int:
    """Plans and draws a training set; returns 0.

    Raises:
        CalibrationDataError: a tool is missing, there are too few texts, or too many screens fail.
    """
    counts = {split: getattr(options, split) for split in SPLITS}
    total, console = sum(counts.values()), Console(stderr=True)
    prepare_tools()  # what is missing is said before the planning, which takes a minute
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        planning = progress.add_task("planning", total=total)
        specs = dataset_specs(counts, options.seed, advance=lambda: progress.update(planning, advance=1))
        drawing = progress.add_task("drawing", total=total)
        failed = generate(
            specs,
            options.out.resolve(),
            jobs=options.jobs,
            on_screen=lambda more: progress.update(drawing, advance=more),
        )
    for name, reason in failed.items():
        console.print(f"left out, since it could not be drawn: {name} ({reason})")
    console.print(f"{total - len(failed)} screens in {options.out}")
    return 0
