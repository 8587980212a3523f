"""`python -m calibration_data render`."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from calibration_data import ROOT, CalibrationDataError
from calibration_data.generator.contact_sheet import contact_sheet
from calibration_data.generator.content import build_specs
from calibration_data.generator.plan import SPLITS, plan_screens
from calibration_data.generator.render import render

INTERRUPTED = "stopped: nothing was changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `render`."""
    add = parser.add_argument_group("what").add_argument
    add(
        "--seed",
        type=int,
        default=0,
        help="another seed, other screens (default %(default)s: the committed set)",
    )
    for split, count in SPLITS.items():
        add(
            f"--{split}",
            type=positive,
            default=count,
            metavar="N",
            help=f"screens of split {split} (default %(default)s)",
        )
    add("--only", action="append", metavar="ID", help="draw this screen of the plan alone; may be repeated")
    add_drawing(parser, ROOT, "this package")


def add_drawing(parser: argparse.ArgumentParser, out: Path, shown: str) -> None:
    """Adds where screens are drawn to, and how many at a time."""
    add = parser.add_argument_group("how").add_argument
    add(
        "--out",
        type=Path,
        default=out,
        metavar="DIR",
        help=f"folder for samples.jsonl and screens/ (default {shown})",
    )
    add(
        "--jobs",
        type=positive,
        default=2,
        metavar="N",
        help="pages drawn at the same time (default %(default)s)",
    )


def positive(text: str) -> int:
    """Reads a number of at least 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def run(options: argparse.Namespace) -> int:
    """Draws the screens and their contact sheet; returns 0.

    Raises:
        CalibrationDataError: a tool is missing, or a screen is not in the plan; nothing is changed.
    """
    specs, console = _specs(options), Console(stderr=True)
    columns = (
        TextColumn("rendering"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[screen]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("render", total=len(specs), screen="")
        render(
            specs,
            options.out.resolve(),
            jobs=options.jobs,
            on_screen=lambda screen: progress.update(task, advance=1, screen=screen),
        )
    images = sorted((options.out / "screens").glob("*.webp"))
    size = sum(path.stat().st_size for path in images)
    console.print(f"{len(images)} screens, {size / 1e6:.2f} MB, in {options.out}")
    console.print(f"contact sheet: {contact_sheet(options.out)}")
    return 0


def _specs(options: argparse.Namespace) -> list[dict]:
    plan = plan_screens({split: getattr(options, split) for split in SPLITS}, options.seed)
    specs = build_specs(plan, options.seed)
    if not options.only:
        return specs
    unknown = sorted(set(options.only) - {spec["id"] for spec in specs})
    if unknown:
        raise CalibrationDataError(
            f"no screen {', '.join(unknown)} in the plan; ids run from {specs[0]['id']} to {specs[-1]['id']}"
        )
    return [spec for spec in specs if spec["id"] in options.only]
