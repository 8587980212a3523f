"""`python -m evaluation check [BUNDLE]`: the gate."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from evaluation.budgets import SHIPPED
from evaluation.checklist import ITEMS, measure
from evaluation.terminal.console import print_rows, print_verdicts, print_weights
from evaluation.terminal.progress import engine_progress
from evaluation.terminal.tables import open_console
from evaluation.terminal.verdicts import Row, row_of
from evaluation.verdict import Verdict
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
        items = measure(bundle)
    checked = {verdict.name for verdict in items}
    kept = map(Verdict.from_dict, bundle.manifest["budgets"])
    others = [verdict for verdict in kept if verdict.name not in checked]
    if options.json:
        print(json.dumps([verdict.to_dict() for verdict in (*items, *others)]))
    else:
        console = open_console()
        print_weights(console, Weights.from_dict(bundle.manifest["weights"]))
        console.print(Text(f"\nchecklist of {bundle.manifest['preset']}", style="italic"))
        print_rows(console, _rows(items), always_how=True)
        if others:
            console.print(Text("\nfurther limits", style="italic"))
            print_verdicts(console, others)
        console.print()
        console.print(Text(_summary(items, others), style="bold"))
    return EXIT_FAILED if any(verdict.failed for verdict in (*items, *others)) else 0


def _rows(verdicts: Sequence[Verdict]) -> list[Row]:
    """An item's first line has its number and name, the others say what they limit."""
    rows: list[Row] = []
    shown = ""
    for verdict in verdicts:
        name = f"{ITEMS.index(verdict.item) + 1} {verdict.item}"
        if verdict.item == shown:
            name = "  " + verdict.name.removeprefix(f"{SHIPPED} ").removeprefix("latency of encode, ")
        shown = verdict.item
        rows.append(row_of(verdict, name))
    return rows


def _summary(verdicts: Sequence[Verdict], others: Sequence[Verdict]) -> str:
    """Counts items, not rows: an item passes where everything in it that decides does."""
    gated = {item: [v.passed for v in verdicts if v.item == item and v.gated] for item in ITEMS}
    passed = [item for item, found in gated.items() if all(found)]
    failed = [item for item, found in gated.items() if False in found]
    unknown = [item for item in ITEMS if item not in passed and item not in failed]
    said = [f"{len(passed)} of {len(ITEMS)} items pass"]
    if failed:
        said.append(f"failed: {', '.join(failed)}")
    if unknown:
        said.append(f"not measured: {', '.join(unknown)}")
    lost = sum(verdict.passed is False for verdict in others)
    if lost:
        said.append(f"{lost} further limit{'s' * (lost > 1)} failed")
    return "; ".join(said)
