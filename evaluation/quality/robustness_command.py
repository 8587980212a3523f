"""`python -m evaluation robustness BUNDLE`: INT8 on any screens, beside what moves the float encoder."""

from __future__ import annotations

import argparse
from pathlib import Path

from calibration_data.samples import image_files
from evaluation.marked import around, marks, replace
from evaluation.quality.docs import DOCS, markdown
from evaluation.quality.robustness import measure, table
from evaluation.quality.split import FOLDER
from evaluation.quality.tables import rich_table
from evaluation.terminal.progress import engine_progress
from evaluation.terminal.tables import open_console, print_table
from runtime.bundle import Bundle
from runtime.report import plain_json

INTERRUPTED = "interrupted; nothing was written"
RESULTS = DOCS / "results.md"
MARKS = marks("robustness", "python -m evaluation robustness --write-docs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="a folder that `python -m export` wrote, such as dist/balanced")
    add("--screens", type=Path, nargs="+", default=[FOLDER], metavar="DIR",
        help="folders of screenshots (default: the committed test split)")  # fmt: skip
    add("--json", action="store_true", help="print the report as JSON")
    group = parser.add_argument_group("for this repository")
    group.add_argument("--write-docs", action="store_true", help="put the tables into docs/results.md")


def run(options: argparse.Namespace) -> int:
    """Measures a bundle; returns 0."""
    bundle = Bundle.load(options.bundle)
    folders = {folder.resolve().name: image_files(folder, least=2) for folder in options.screens}
    if options.write_docs:
        around(RESULTS, MARKS)
    with engine_progress("reading screens") as on_progress:
        found = {name: measure(bundle, screens, on_progress) for name, screens in folders.items()}
    tables = [table(rows, f"{len(folders[name])} screens of {name}") for name, rows in found.items()]
    if options.write_docs:
        replace(RESULTS, MARKS, "\n".join(map(markdown, tables)))
    if options.json:
        print(plain_json(found))
    else:
        console = open_console()
        console.print("How near an embedding stays to float's of the same screen, alone: mean-centred cosine")
        for one in tables:
            print_table(console, rich_table(one))
    return 0
