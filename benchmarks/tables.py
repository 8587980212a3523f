"""The comparison as a table: on a terminal, in Markdown, and between the marks in docs/results.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from benchmarks.compare import Comparison
from benchmarks.rows import OURS, Row, Standing, judge
from evaluation.marked import marks, replace

MARKS = marks("compare", "python -m benchmarks compare --write-docs")
NOTHING = "-"


def header(profile: str) -> tuple[str, ...]:
    """The columns' names; instructions are of the emulated phone `profile`."""
    return (
        "made by", "version", "MB", f"{profile}, M instructions", "time / ours", "private MB", "cosine worst",
        "cosine mean", "mean-centred worst", "load ms", "export s",
    )  # fmt: skip


def cells(row: Row) -> tuple[str, ...]:
    """A row's figures as texts; what could not be measured is a dash."""
    return (
        row.name,
        row.version or NOTHING,
        _number(row.file_bytes, 2, 1e6),
        _number(row.m_instructions, 1),
        _number(row.ratio, 2),
        _number(row.private_bytes, 1, 1e6),
        _number(row.cosine_min, 4),
        _number(row.cosine_mean, 4),
        _number(row.mean_centred_cosine_min, 4),
        _number(row.load_ms, 1),
        _number(row.export_s, 0),
    )


def verdict_line(rows: Sequence[Row]) -> str:
    """Says how far the best baseline is behind, or ahead, and whether ours is the smallest."""
    verdict = judge(rows)
    return f"{_instructions(rows, verdict)}; {_size(rows, verdict)}"


def notes(rows: Sequence[Row]) -> list[str]:
    """A line for each row that failed somewhere: its name and why."""
    lines = [f"{row.name}: {row.error}" for row in rows if row.error]
    return lines + [f"{row.name}: not counted: {row.not_counted}" for row in rows if row.not_counted]


def rich_table(found: Comparison) -> Table:
    """The table for a terminal, our row in bold."""
    table = Table(title=_title(found), title_justify="left")
    for index, name in enumerate(header(found.profile)):
        table.add_column(Text(name), justify="right" if index > 1 else "left", no_wrap=index < 2)
    for row in found.rows:
        style = "bold green" if row.name == OURS else "red" if row.error else None
        table.add_row(*map(Text, cells(row)), style=style)
    return table


def markdown(found: Comparison, *, calls: bool = True) -> str:
    """The table in Markdown, with the verdict above it, and failures below, and how each file was made."""
    lines = [f"{_title(found)}. {_sentence(verdict_line(found.rows))}.", ""]
    names = header(found.profile)
    lines += [f"| {' | '.join(names)} |", f"|---|---|{'--:|' * (len(names) - 2)}"]
    for row in found.rows:
        shown = [f"**{cell}**" if row.name == OURS and cell != NOTHING else cell for cell in cells(row)]
        lines.append(f"| {' | '.join(shown)} |")
    lines += ["", *(f"- {_escaped(line)}" for line in notes(found.rows))]
    if calls:
        lines += ["", "How each file was made:", ""]
        lines += [f"- `{row.name}`: {row.tool}, {_escaped(row.how)}" for row in found.rows]
    return "\n".join(lines) + "\n"


def write_docs(text: str, path: Path) -> None:
    """Replaces what stands between the marks of a document.

    Raises:
        InputError: the marks do not stand there once, in this order.
    """
    replace(path, MARKS, text)


def _title(found: Comparison) -> str:
    return f"{found.preset} (weights: {found.weights.source}), {found.samples} parity screens"


def _instructions(rows: Sequence[Row], verdict: Standing) -> str:
    if verdict.best_baseline is None:
        return "no baseline's instructions were counted"
    best = verdict.best_baseline
    if verdict.times is None:
        return f"best baseline: {best.name}, {best.m_instructions:.1f} M instructions; ours were not counted"
    ours = next(row for row in rows if row.name == OURS)
    centred = (
        f", mean-centred cosine {best.mean_centred_cosine_min:.4f}"
        if best.mean_centred_cosine_min is not None
        else ""
    )
    return (
        f"best baseline by instructions: {best.name}, {best.m_instructions:.1f} M{centred}: "
        f"{verdict.times:.2f} x ours ({ours.m_instructions:.1f} M)"
    )


def _size(rows: Sequence[Row], verdict: Standing) -> str:
    if verdict.smallest_baseline is None:
        return "no baseline has files to compare sizes with"
    ours = next(row for row in rows if row.name == OURS)
    small = verdict.smallest_baseline
    mine, other = (_number(row.file_bytes, 2, 1e6) for row in (ours, small))
    if verdict.smallest:
        return f"ours is the smallest, {mine} MB (next: {small.name}, {other} MB)"
    return f"ours is not the smallest: {mine} MB, {small.name} {other} MB"


def _number(value: float | None, digits: int, unit: float = 1.0) -> str:
    return NOTHING if value is None else f"{value / unit:.{digits}f}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
