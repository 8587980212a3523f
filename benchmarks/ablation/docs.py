"""Puts the ablation into docs/ablation.md: its prose is by hand, figures never."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.ablation import results as committed
from benchmarks.ablation.chart import write_chart
from benchmarks.ablation.results import Result
from benchmarks.ablation.tables import notes, tables, verdict_line
from evaluation.quality.docs import markdown
from evaluation.quality.outputs import ROOT
from runtime.errors import InputError
from runtime.files import write_atomically

DOCS = ROOT / "docs" / "ablation.md"
BEGIN = "<!-- ablation: written by python -m benchmarks ablation --write-docs -->"
END = "<!-- end of ablation -->"
CHART = "ablation.png"
CAPTION = "Instructions against bytes and against quality, presets in blue"


def check(path: Path = DOCS) -> None:
    """Makes sure that there is a place for the ablation before anything is measured.

    Raises:
        InputError: the marks do not stand in the document once, in this order.
    """
    _around(path)


def write_docs(results: Sequence[Result], path: Path = DOCS, file: Path = committed.FILE) -> None:
    """Replaces what stands between the marks, the chart beside it, and the committed results.

    Raises:
        InputError: as `check`.
    """
    before, after = _around(path)
    images = path.parent / "images"
    images.mkdir(exist_ok=True)
    lines = [BEGIN, ""]
    if write_chart(results, images / CHART):
        lines += [f"![{CAPTION}](images/{CHART})", "", f"{_sentence(verdict_line(results))}.", ""]
    lines += map(markdown, tables(results))
    lines += [*(f"- {_escaped(note)}" for note in notes(results)), ""]
    write_atomically(path, (before + "\n".join(lines) + END + after).encode())
    committed.save(results, file)


def _around(path: Path) -> tuple[str, str]:
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InputError(f"{path}: the lines {BEGIN} and {END} must stand there once, in this order")
    return text.split(BEGIN)[0], text.split(END)[1]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
