"""`python -m evaluation baseline BUNDLE`: the committed instruction counts of the shipped model."""

from __future__ import annotations

import argparse
import json

from evaluation.arm64 import baseline, tables
from evaluation.arm64.command import INTERRUPTED, measure_with_progress
from evaluation.arm64.profiles import shipped_profiles
from evaluation.arm64.report import SHIPPED
from evaluation.terminal.tables import open_console
from runtime.command_line import EXIT_FAILED

__all__ = ["INTERRUPTED", "add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("bundle", help="a bundle's folder")
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 where a count is over by 2 %%"
    )
    group.add_argument("--raise", dest="allow_raise", action="store_true", help="write higher counts too")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(options: argparse.Namespace) -> int:
    """Measures, then writes or checks the counts; returns 0, or 1 where a count is over."""
    report = measure_with_progress(options.bundle, [shipped_profiles()[1]], [SHIPPED], json_out=options.json)
    if options.check:
        found = baseline.compare(report, baseline.load())
    else:
        found = baseline.update(report, allow_raise=options.allow_raise)
    if options.json:
        print(json.dumps([vars(entry) | {"passed": entry.passed} for entry in found]))
    else:
        tables.print_baseline(open_console(), report.preset, found)
    return EXIT_FAILED if options.check and not all(entry.passed for entry in found) else 0
