"""Terminal output of the export commands: progress by step, and verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from encoder.provenance import Weights
from export.budgets import SHIPPED, Budget
from export.pipeline import BUNDLE, OnStep
from export.report.verdicts import Row, verdict_rows
from export.steps.table import STEPS, Step

STYLES = {True: "green", False: "bold red", None: "yellow"}


@contextmanager
def step_progress(console: Console) -> Iterator[OnStep]:
    """Shows a bar a step, and one for all; yields the callback that moves them."""
    text = TextColumn("{task.description}", table_column=Column())  # a long title takes a second line
    columns = (text, BarColumn(bar_width=24 if console.width >= 80 else 10), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        expected = {step.name for step in (*STEPS, BUNDLE)}
        total = progress.add_task("[bold]export", total=len(expected))
        tasks: dict[str, TaskID] = {}

        def on_step(step: Step, state: str) -> None:
            if state == "started" and step.name not in tasks:
                tasks[step.name] = progress.add_task(step.title, total=None)
                expected.add(step.name)
                progress.update(total, total=len(expected))
            elif state == "started":
                progress.update(tasks[step.name], description=step.title)
            elif step.name in tasks:
                progress.update(tasks[step.name], description=step.title, total=1, completed=1)
            else:
                word = {"cached": "unchanged"}.get(state, state)
                progress.add_task(f"{step.title} [dim]({word})", total=1, completed=1, start=False)
            if state != "started":
                progress.advance(total)

        yield on_step


def print_result(console: Console, manifest: Mapping[str, Any], out: str, following: str) -> None:
    """Prints the last screen: where the weights came from, the verdicts, the files, and what to do next.

    Args:
        out: the bundle's folder.
        following: the command to go on with.
    """
    print_weights(console, Weights.from_dict(manifest["weights"]))
    console.print()
    print_budgets(console, [Budget.from_dict(values) for values in manifest["budgets"]])
    console.print()
    files = manifest["files"]
    models = sum("engine" in entry for entry in files.values())
    size = files[SHIPPED]["bytes"] / 1e6
    console.print(Text(f"{out}: {models} model files, {SHIPPED} {size:.2f} MB"))
    console.print(Text(f"every figure: {out}/report.html"))
    console.print(Text(f"next: {following}"))


def print_weights(console: Console, weights: Weights) -> None:
    """Says where the weights came from; loudly, where any part's are random."""
    for line in weights.lines:
        console.print(Text(f"weights: {line}"))
    if weights.warning:
        console.print(Text(weights.warning, style="bold white on red"))


def print_budgets(console: Console, budgets: Sequence[Budget]) -> None:
    """Prints verdicts in a few lines, and why something was not measured."""
    rows = verdict_rows(budgets)
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
