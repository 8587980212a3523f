"""Puts the ablation into docs/ablation.md: its prose is by hand, figures never."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.ablation import results as committed
from benchmarks.ablation.chart import write_chart
from benchmarks.ablation.results import Result
from benchmarks.ablation.tables import notes, tables, verdict_line
from evaluation.marked import around, marks, replace
from evaluation.quality.docs import markdown
from evaluation.quality.outputs import ROOT

DOCS = ROOT / "docs" / "ablation.md"
MARKS = marks("ablation", "python -m benchmarks ablation --write-docs")
CHART = "ablation.png"
CAPTION = "Instructions against bytes and against quality, presets in blue"


def check(path: Path = DOCS) -> None:
    """Makes sure that there is a place for the ablation before anything is measured.

    Raises:
        InputError: the marks do not stand in the document once, in this order.
    """
    around(path, MARKS)


def write_docs(results: Sequence[Result], path: Path = DOCS, file: Path = committed.FILE) -> None:
    """Replaces what stands between the marks, the chart beside it, and the committed results.

    Raises:
        InputError: as `check`.
    """
    around(path, MARKS)
    images = path.parent / "images"
    images.mkdir(exist_ok=True)
    lines = []
    if write_chart(results, images / CHART):
        lines += [f"![{CAPTION}](images/{CHART})", "", f"{_sentence(verdict_line(results))}.", ""]
    lines += map(markdown, tables(results))
    lines += [*(f"- {_escaped(note)}" for note in notes(results)), ""]
    replace(path, MARKS, "\n".join(lines))
    committed.save(results, file)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
