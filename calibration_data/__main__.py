"""Command line: `python -m calibration_data render | dataset | test-split | contact-sheet`."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from calibration_data import ROOT, CalibrationDataError
from calibration_data.generator.contact_sheet import contact_sheet
from calibration_data.generator.content import build_specs
from calibration_data.generator.dataset import dataset_specs
from calibration_data.generator.generate import generate
from calibration_data.generator.plan import SPLITS, plan_screens
from calibration_data.generator.render import render
from calibration_data.generator.test_split import FOLDER as TEST_SPLIT
from calibration_data.generator.test_split import make_test_split
from calibration_data.generator.tools import prepare_tools

DATASET = ROOT.parent / "build" / "screens"
# Screens of each split of the training set.
DATASET_SPLITS = {"train": 9000, "validation": 480, "test": 600, "unseen_kit": 200}


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m calibration_data",
        description="Render the phone screens that calibrate and check the encoder.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("render", help="draw the screens with chromium, then their contact sheet")
    draw.add_argument(
        "--out", type=Path, default=ROOT, help="folder for samples.jsonl and screens/ (default: this package)"
    )
    draw.add_argument("--jobs", type=_positive, default=2, help="pages drawn at the same time (default 2)")
    draw.add_argument(
        "--seed", type=int, default=0, help="another seed, other screens (default 0: the committed set)"
    )
    for split, count in SPLITS.items():
        draw.add_argument(
            f"--{split}",
            type=_positive,
            default=count,
            metavar="N",
            help=f"screens of split {split} (default {count})",
        )
    draw.add_argument(
        "--only", action="append", metavar="ID", help="draw this screen of the plan alone; may be repeated"
    )
    _add_dataset(commands)
    sheet = commands.add_parser("contact-sheet", help="one picture of 24 varied screens of a folder")
    sheet.add_argument(
        "--out", type=Path, default=ROOT, help="a folder that `render` has written (default: this package)"
    )
    return parser.parse_args(argv)


def _add_dataset(commands: argparse._SubParsersAction) -> None:
    many = commands.add_parser(
        "dataset",
        help="draw a training set of thousands of screens; a run that was stopped goes on where it was",
    )
    many.add_argument("--out", type=Path, default=DATASET, help="folder (default: build/screens)")
    many.add_argument("--jobs", type=_positive, default=2, help="pages drawn at the same time (default 2)")
    many.add_argument("--seed", type=int, default=0, help="another seed, other screens (default 0)")
    for split, count in DATASET_SPLITS.items():
        many.add_argument(
            f"--{split.replace('_', '-')}",
            type=_count,
            default=count,
            metavar="N",
            help=f"screens of split {split} (default {count})",
        )
    small = commands.add_parser(
        "test-split", help="make the committed test split from a training set's test screens"
    )
    small.add_argument(
        "--dataset", type=Path, default=DATASET, help="what `dataset` has drawn (default: build/screens)"
    )
    small.add_argument("--out", type=Path, default=TEST_SPLIT, help="folder (default: this package's)")


def _specs(args: argparse.Namespace) -> list[dict]:
    specs = build_specs(plan_screens({split: getattr(args, split) for split in SPLITS}, args.seed), args.seed)
    if not args.only:
        return specs
    unknown = sorted(set(args.only) - {spec["id"] for spec in specs})
    if unknown:
        raise CalibrationDataError(
            f"no screen {', '.join(unknown)} in the plan; ids run from {specs[0]['id']} to {specs[-1]['id']}"
        )
    return [spec for spec in specs if spec["id"] in args.only]


def _render(args: argparse.Namespace, console: Console) -> None:
    specs = _specs(args)
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
            args.out.resolve(),
            jobs=args.jobs,
            on_screen=lambda screen: progress.update(task, advance=1, screen=screen),
        )
    images = sorted((args.out / "screens").glob("*.webp"))
    size = sum(path.stat().st_size for path in images)
    console.print(f"{len(images)} screens, {size / 1e6:.2f} MB, in {args.out}")


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _dataset(args: argparse.Namespace, console: Console) -> None:
    counts = {split: getattr(args, split) for split in DATASET_SPLITS}
    total = sum(counts.values())
    prepare_tools()  # what is missing is said before the planning, which takes a minute
    with _bar(console) as progress:
        planning = progress.add_task("planning", total=total)
        specs = dataset_specs(counts, args.seed, advance=lambda: progress.update(planning, advance=1))
        drawing = progress.add_task("drawing", total=total)
        failed = generate(
            specs,
            args.out.resolve(),
            jobs=args.jobs,
            on_screen=lambda more: progress.update(drawing, advance=more),
        )
    for name, reason in failed.items():
        console.print(f"left out, since it could not be drawn: {name} ({reason})")
    console.print(f"{total - len(failed)} screens in {args.out}")


def _test_split(args: argparse.Namespace, console: Console) -> None:
    with _bar(console) as progress:
        task = progress.add_task("test split", total=None)
        summary = make_test_split(
            args.dataset,
            args.out,
            on_step=lambda done, total, what: progress.update(
                task, completed=done, total=total, description=what
            ),
        )
    console.print(summary)


def main(args: argparse.Namespace) -> int:
    """Run one command; returns the exit status."""
    console = Console(stderr=True)
    try:
        if args.command == "dataset":
            _dataset(args, console)
        elif args.command == "test-split":
            _test_split(args, console)
        else:
            if args.command == "render":
                _render(args, console)
            console.print(f"contact sheet: {contact_sheet(args.out)}")
    except CalibrationDataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        goes_on = "the same command again goes on from here"
        print(f"stopped: {goes_on if args.command == 'dataset' else 'nothing was changed'}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(parse_args()))
