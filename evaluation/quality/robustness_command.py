"""`python -m evaluation robustness BUNDLE`: INT8 on any screens, beside what moves the float encoder."""

from __future__ import annotations

import argparse
from pathlib import Path

from calibration_data.samples import image_files
from evaluation.quality.robustness import measure, table
from evaluation.quality.split import FOLDER
from evaluation.quality.tables import rich_table
from evaluation.terminal.progress import engine_progress
from evaluation.terminal.tables import open_console, print_table
from runtime.bundle import Bundle
from runtime.report import plain_json

INTERRUPTED = "interrupted; nothing was written"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="a folder that `python -m export` wrote, such as dist/balanced")
    add("--screens", type=Path, default=FOLDER, metavar="DIR",
        help="a folder of screenshots (default: the committed test split)")  # fmt: skip
    add("--json", action="store_true", help="print the report as JSON")


def run(options: argparse.Namespace) -> int:
    """Measures a bundle; returns 0."""
    bundle, screens = Bundle.load(options.bundle), image_files(options.screens, least=2)
    with engine_progress("reading screens") as on_progress:
        rows = measure(bundle, screens, on_progress)
    if options.json:
        print(plain_json({"screens": len(screens), "rows": rows}))
    else:
        title = "How near an embedding stays to float's of the same screen, alone: mean-centred cosine"
        print_table(open_console(), rich_table(table(rows, title)))
    return 0
