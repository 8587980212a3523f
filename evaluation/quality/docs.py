"""Puts what was measured into docs/results.md: the text around it is written by hand, figures never are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.marked import around, marks, replace
from evaluation.quality.measure import SHIPPED
from evaluation.quality.outputs import ROOT, Outputs, Work
from evaluation.quality.pictures import draw_pictures
from evaluation.quality.split import TestSplit
from evaluation.quality.step import CAPTIONS
from evaluation.quality.tables import Table, figure_tables
from runtime.errors import InputError

DOCS = ROOT / "docs"
MARKS = marks("quality", "python -m evaluation quality --write-docs")


def write_docs(
    report: Mapping[str, Any],
    split: TestSplit,
    work: Work,
    outputs: Mapping[tuple[str, str], Outputs],
    folder: Path = DOCS,
) -> None:
    """Replaces what stands between the marks in results.md, and the pictures beside it.

    Args:
        report: of `measure`, of all engines.
        split: the test split.
        work: what the engines were given.
        outputs: what they made of it.
        folder: holds results.md; pictures go into images/.

    Raises:
        InputError: results.md has no marks, or the shipped file was not measured.
    """
    path = folder / "results.md"
    if SHIPPED not in outputs:
        raise InputError("--write-docs needs the shipped file: add tflite-int8 to --engines")
    around(path, MARKS)
    images = folder / "images"
    images.mkdir(exist_ok=True)
    lines = [_summary(report), *map(markdown, figure_tables(report))]
    for name, data in draw_pictures(split, work, outputs).items():
        (images / f"quality_{name}.webp").write_bytes(data)
        lines += [f"![](images/quality_{name}.webp)", "", CAPTIONS[name], ""]
    replace(path, MARKS, "\n".join(lines))


def _summary(report: Mapping[str, Any]) -> str:
    split = report["split"]
    counts = split["samples"]
    return (
        f"{counts['test']} contexts of split `test`, {counts['unseen_kit']} of split `unseen_kit`, "
        f"{split['candidates']} candidates each, {split['sentences']} sentences.\n"
    )


def markdown(table: Table) -> str:
    """A table in Markdown, under its title."""
    ruler = "|".join(["---"] + ["--:"] * (len(table.header) - 1))
    rows = [[cell.replace("|", "\\|") for cell in row] for row in (table.header, *table.rows)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([f"**{table.title}**", "", lines[0], f"|{ruler}|", *lines[1:], ""])
