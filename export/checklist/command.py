"""Command line: `python -m export check [PRESET]`, the gate."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from encoder.config import PRESETS, preset
from encoder.provenance import Weights
from export.budgets import SHIPPED, Budget
from export.checklist.entries import ITEMS, Entry, measure
from export.report.console import print_budgets, print_rows, print_weights
from export.report.progress import engine_progress
from export.report.tables import open_console
from export.report.verdicts import Row, row_of
from export.request import ROOT
from runtime.bundle import Bundle
from runtime.manifest import MANIFEST, BundleError
from runtime.terminal import Parser

EXIT_GATE = 1


def make_parser() -> Parser:
    """Returns the parser of `python -m export check`."""
    parser = Parser(
        prog="python -m export check",
        description="Gate: the checklist of a bundle, each item measured, and its further limits. Loads and "
        "runs every model file, compares what comes out with the public shapes, counts, and measures.",
        epilog="Exit status: 0 all well, 1 a limit fails, 2 bad use or no such bundle.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("preset", nargs="?", default="balanced",
        help=f"one of: {', '.join(PRESETS)}, or another bundle in dist (default balanced)")  # fmt: skip
    add("--out", type=Path, metavar="DIR", help="bundle folder (default dist/PRESET)")
    add("--json", action="store_true", help="print results as JSON")
    return parser


def run(options: argparse.Namespace) -> int:
    """Checks a bundle; returns 0, or 1 where a limit that decides fails.

    Raises:
        ConfigError: there is neither such a preset nor such a bundle.
        InputError: the bundle is missing, incomplete or altered.
    """
    out = options.out or ROOT / "dist" / options.preset
    if options.out is None and not (out / MANIFEST).is_file():
        preset(options.preset)  # an unknown name is a likelier mistake than a missing export
        raise BundleError(f"{out}: not exported yet; run python -m export {options.preset}")
    bundle = Bundle.load(out, verify=True)
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
    return EXIT_GATE if failed else 0


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
