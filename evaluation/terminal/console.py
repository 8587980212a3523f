"""Verdicts and provenance on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from evaluation.terminal.verdicts import Row, verdict_rows
from evaluation.verdict import Verdict
from runtime.provenance import Weights

STYLES = {True: "green", False: "bold red", None: "yellow"}


def print_weights(console: Console, weights: Weights) -> None:
    """Says where the weights came from; loudly, where any part's are random."""
    for line in weights.lines:
        console.print(Text(f"weights: {line}"))
    if weights.warning:
        console.print(Text(weights.warning, style="bold white on red"))


def print_verdicts(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Prints verdicts in a few lines, and why something was not measured."""
    rows = verdict_rows(verdicts)
    print_rows(console, rows)
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.passed is None:
            reasons.setdefault(row.how, []).append(row.name)
    for how, names in reasons.items():
        console.print(Text(f"{', '.join(names)}: {how}", style=STYLES[None]))


def print_rows(console: Console, rows: Sequence[Row], *, always_how: bool = False) -> None:
    """Prints a line a row; how it was measured stands beside it where all lines have room for that.

    Args:
        always_how: where they have not, it stands below.
    """
    widths = [max(len(getattr(row, key)) for row in rows) for key in ("name", "value", "limit")]
    lines = [_line(row, *widths) for row in rows]
    beside = all(len(line) + 2 + len(row.how) <= console.width for line, row in zip(lines, rows, strict=True))
    for line, row in zip(lines, rows, strict=True):
        if beside and row.how:
            line.append(f"  {row.how}", style="dim")
        console.print(line)
        if always_how and not beside:
            console.print(Padding(Text(row.how, style="dim"), (0, 0, 0, 4)))


def _line(row: Row, name: int, value: int, limit: int) -> Text:
    verdict = {True: "pass", False: "FAIL", None: "-"}[row.passed]
    word = Text(verdict, style=STYLES[row.passed]) if row.gated else Text(f"({verdict})", style="dim")
    return Text(f"{row.name:{name}}  {row.value:>{value}}  {row.limit:>{limit}}  ").append_text(word)
