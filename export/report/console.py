"""Terminal output of the export commands: progress by step, and the table of results and verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from encoder.provenance import Weights
from export.budgets import Budget
from export.pipeline import OnStep
from export.report.format import budget_row
from export.steps import STEPS, Step

STYLES = {True: "green", False: "bold red", None: "yellow"}


@contextmanager
def step_progress(console: Console) -> Iterator[OnStep]:
    """Shows a bar a step, and one for all; yields the callback that moves them."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        total = progress.add_task("[bold]export", total=len(STEPS) + 1)
        tasks: dict[str, TaskID] = {}

        def on_step(step: Step, state: str) -> None:
            if state == "started":
                tasks[step.name] = progress.add_task(step.title, total=None)
            elif state == "cached":
                progress.add_task(f"{step.title} [dim](unchanged)", total=1, completed=1, start=False)
            else:
                progress.update(tasks[step.name], total=1, completed=1)
            if state != "started":
                progress.advance(total)

        yield on_step


def print_result(console: Console, manifest: Mapping[str, Any], out: str) -> None:
    """Prints where the weights came from, the files, and every verdict."""
    print_weights(console, Weights.from_dict(manifest["weights"]))
    files = Table(title=f"{out}", title_justify="left")
    for name, justify in (("file", "left"), ("engine", "left"), ("precision", "left"), ("MB", "right")):
        files.add_column(name, justify=justify)
    for name, entry in manifest["files"].items():
        size = f"{entry['bytes'] / 1e6:.2f}"
        files.add_row(name, entry.get("engine", ""), entry.get("precision", ""), size)
    console.print(files)
    parameters = manifest["parameters"]
    parts = ", ".join(f"{part} {count:,}" for part, count in parameters.items() if part != "total")
    console.print(f"parameters: {parameters['total']:,} ({parts})")
    print_budgets(console, [Budget.from_dict(values) for values in manifest["budgets"]])


def print_weights(console: Console, weights: Weights) -> None:
    """Says where the weights came from; loudly, where any part's are random."""
    for line in weights.lines:
        console.print(Text(f"weights: {line}"))
    if weights.warning:
        console.print(Text(weights.warning, style="bold white on red"))


def print_budgets(console: Console, budgets: list[Budget]) -> None:
    """Prints a row for each limit: value, verdict and how it was measured."""
    table = Table(title="budgets", title_justify="left")
    for name in ("what", "limit", "value", "verdict", "how"):
        table.add_column(name, justify="right" if name in ("limit", "value") else "left")
    for budget in budgets:
        row = budget_row(budget)
        verdict = Text(row["verdict"], style=STYLES[budget.passed])
        table.add_row(row["name"], row["limit"], row["value"], verdict, row["how"])
    console.print(table)
