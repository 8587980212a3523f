"""`python -m evaluation check [BUNDLE]`: the gate."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from evaluation.budgets import SHIPPED, Budget
from evaluation.checklist import ITEMS, Entry, measure
from evaluation.terminal.console import print_budgets, print_rows, print_weights
from evaluation.terminal.progress import engine_progress
from evaluation.terminal.tables import open_console
from evaluation.terminal.verdicts import Row, row_of
from runtime.bundle import Bundle
from runtime.command_line import EXIT_FAILED
from runtime.provenance import Weights

DEFAULT = Path("dist/balanced")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("bundle", nargs="?", type=Path, default=DEFAULT, metavar="BUNDLE",
        help=f"a folder that `python -m export` wrote (default {DEFAULT})")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print results as JSON")


def run(options: argparse.Namespace) -> int:
    """Checks a bundle; returns 0, or 1 where a limit that decides fails.

    Raises:
        InputError: the bundle is missing, incomplete or altered.
    """
    bundle = Bundle.load(options.bundle, verify=True)
    with engine_progress("loading and measuring"):
        entries = measure(bundle)
    checked = {entry.budget.name for entry in entries}
    budgets = [Budget.from_dict(values) for values in bundle.manifest["budgets"]]
    others = [budget for budget in budgets if budget.name not in checked]
    if options.json:
        further = [{"item": None, **budget.to_dict(), "gated": True} for budget in others]
        print(json.dumps([entry.to_dict() for entry in entries] + further))
    else:
        console = open_console()
        print_weights(console, Weights.from_dict(bundle.manifest["weights"]))
        console.print(Text(f"\nchecklist of {bundle.manifest['preset']}", style="italic"))
        print_rows(console, _rows(entries), always_how=True)
        if others:
            console.print(Text("\nfurther limits", style="italic"))
            print_budgets(console, others)
        console.print()
        console.print(Text(_summary(entries, others), style="bold"))
    failed = any(entry.failed for entry in entries) or any(budget.passed is False for budget in others)
    return EXIT_FAILED if failed else 0


def _rows(entries: Sequence[Entry]) -> list[Row]:
    """An item's first line has its number and name, the others say what they limit."""
    rows: list[Row] = []
    shown = ""
    for entry in entries:
        name = f"{ITEMS.index(entry.item) + 1} {entry.item}"
        if entry.item == shown:
            name = "  " + entry.budget.name.removeprefix(f"{SHIPPED} ").removeprefix("latency of encode, ")
        shown = entry.item
        rows.append(row_of(entry.budget, name, gated=entry.gated))
    return rows


def _summary(entries: Sequence[Entry], others: Sequence[Budget]) -> str:
    """Counts items, not rows: an item passes where everything in it that decides does."""
    gated = {item: [e.budget.passed for e in entries if e.item == item and e.gated] for item in ITEMS}
    passed = [item for item, verdicts in gated.items() if all(verdicts)]
    failed = [item for item, verdicts in gated.items() if False in verdicts]
    unknown = [item for item in ITEMS if item not in passed and item not in failed]
    said = [f"{len(passed)} of {len(ITEMS)} items pass"]
    if failed:
        said.append(f"failed: {', '.join(failed)}")
    if unknown:
        said.append(f"not measured: {', '.join(unknown)}")
    lost = sum(budget.passed is False for budget in others)
    if lost:
        said.append(f"{lost} further limit{'s' * (lost > 1)} failed")
    return "; ".join(said)
