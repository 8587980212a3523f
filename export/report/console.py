"""Terminal output of an export: progress by step, and the last screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from evaluation.budgets import SHIPPED
from evaluation.quality.tables import ENGINE_NAMES
from evaluation.terminal.console import print_verdicts, print_weights
from evaluation.verdict import Verdict
from export.calibration import unknown_warning
from export.pipeline import BUNDLE, OnStep
from export.steps.table import STEPS, Step
from runtime.provenance import Weights


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


def given_back_line(name: str, found: Mapping[str, Any]) -> str:
    """Says what a format's recipe, found for this encoder, gives up of INT8."""
    format_name = ENGINE_NAMES[name]
    units, before, after = found["units"], found["before"], found["after"]
    judged = f"worst judged screen {after['cosine_min']:.3f}"
    if not units:
        return f"{format_name} recipe: the default one, nothing given back ({judged})"
    layers = sum(unit["layers"] for unit in units)
    work = f"{sum(unit['multiply_adds'] for unit in units) / 1e6:.1f} M multiply-adds"
    if "m_instructions" in found:
        work = f"{found['m_instructions']:+.1f} M instructions"
    more = (after["file_bytes"] - before["file_bytes"]) / 1e6
    names = ", ".join(f"{unit['name']} in {unit['precision']}" for unit in units[:3])
    return (
        f"{format_name} recipe: {layers} of {found['layers']} layers get more precision ({names}"
        f"{', ...' if len(units) > 3 else ''}): {work}, {more:+.2f} MB; "
        f"{judged}, {before['cosine_min']:.3f} without"
    )


def print_result(console: Console, manifest: Mapping[str, Any], out: str, following: str) -> None:
    """Prints the last screen: where the weights came from, the verdicts, the files, and what to do next.

    Args:
        out: the bundle's folder.
        following: the command to go on with.
    """
    print_weights(console, Weights.from_dict(manifest["weights"]))
    unknown = unknown_warning(manifest["tokenizer"])
    if unknown:
        console.print(Text(unknown, style="yellow"))
    for name, found in manifest.get("given_back", {}).items():
        if found:
            console.print(Text(given_back_line(name, found)))
    console.print()
    print_verdicts(console, [Verdict.from_dict(values) for values in manifest["budgets"]])
    console.print()
    files = manifest["files"]
    models = sum("engine" in entry for entry in files.values())
    size = files[SHIPPED]["bytes"] / 1e6
    console.print(Text(f"{out}: {models} model files, {SHIPPED} {size:.2f} MB"))
    console.print(Text(f"every figure: {out}/report.html"))
    console.print(Text(f"next: {following}"))
