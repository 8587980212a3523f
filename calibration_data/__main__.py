"""Command line: `python -m calibration_data render | contact-sheet`."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from calibration_data import ROOT, CalibrationDataError
from calibration_data.contact_sheet import contact_sheet
from calibration_data.content import build_specs
from calibration_data.plan import SPLITS, plan_screens
from calibration_data.render import render


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
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
    sheet = commands.add_parser("contact-sheet", help="one picture of 24 varied screens of a folder")
    sheet.add_argument(
        "--out", type=Path, default=ROOT, help="a folder that `render` has written (default: this package)"
    )
    return parser.parse_args(argv)


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


def main(args: argparse.Namespace) -> int:
    """Run one command; returns the exit status."""
    console = Console(stderr=True)
    try:
        if args.command == "render":
            _render(args, console)
        console.print(f"contact sheet: {contact_sheet(args.out)}")
    except CalibrationDataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: nothing was changed", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(parse_args()))
