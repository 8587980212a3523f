"""`python -m benchmarks ranges`: one float encoder, its INT8 ranges taken in every way."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from calibration_data.samples import image_files
from encoder.config import PRESETS
from evaluation.marked import around, marks, replace
from evaluation.quality.docs import markdown
from evaluation.quality.outputs import ROOT
from evaluation.quality.tables import ENGINE_NAMES, Table, figure_text, rich_table
from evaluation.terminal.progress import engine_progress
from evaluation.terminal.tables import open_console, print_table
from export.request import read_request

if TYPE_CHECKING:
    from benchmarks.ranges.measure import Way

DOCS = ROOT / "docs" / "results.md"
MARKS = marks("ranges", "python -m benchmarks ranges --write-docs")
INTERRUPTED = "interrupted; the export's steps are kept"
FIGURES = {"worst": "worst", "p1": "1st", "mean": "mean"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add("preset", nargs="?", default="balanced", help=f"one of: {', '.join(PRESETS)} (default balanced)")
    add(
        "--screens", type=Path, metavar="DIR",
        help="a folder of screenshots: every other one is measured, the rest calibrate in two rows",
    )  # fmt: skip
    add("--write-docs", action="store_true", help="put the table into docs/results.md")


def run(options: argparse.Namespace) -> int:
    """Measures; returns 0."""
    request = read_request(options.preset)
    others = image_files(options.screens, least=4) if options.screens else []
    if options.write_docs:
        around(DOCS, MARKS)
    with engine_progress("converting") as on_progress:
        from benchmarks.ranges.measure import measure  # after what is refused: it brings PyTorch

        found = measure(request, others, on_progress)
    table = ranges_table(found)
    if options.write_docs:
        replace(DOCS, MARKS, markdown(table))
    print_table(open_console(), rich_table(table))
    return 0


def ranges_table(found: Sequence[Way]) -> Table:
    """The low end of every way, by set of screens."""
    sets = list(found[0].found)
    header = tuple(f"{name}, {figure}" for name in sets for figure in FIGURES.values())
    lines = tuple(
        (
            f"{ENGINE_NAMES[way.engine]}, {way.name}",
            *(figure_text(getattr(way.found[name], figure)) for name in sets for figure in FIGURES),
        )
        for way in found
    )
    counts = ", ".join(f"{found[0].found[name].n} of {name}" for name in sets)
    return Table(
        f"INT8 by how ranges are taken: mean-centred cosine of screens alone ({counts})", ("", *header), lines
    )
