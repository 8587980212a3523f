"""`python -m benchmarks validate-latency`: simulated beside published milliseconds."""

from __future__ import annotations

import argparse
import json

from rich.console import Console
from rich.table import Table

from benchmarks.published_latency import TOLERANCE, Validation, validate
from evaluation.arm64.setup_command import ensure
from evaluation.terminal.progress import engine_progress
from evaluation.terminal.tables import open_console, print_table
from runtime.command_line import EXIT_FAILED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print figures as JSON")


def run(options: argparse.Namespace) -> int:
    """Counts the published networks; returns 0, or 1 where a prediction is off by more than the tolerance."""
    toolchain = ensure(open_console(stderr=options.json))
    with engine_progress("converting networks") as on_progress:
        validation = validate(toolchain, on_progress)
    if options.json:
        print(json.dumps(validation.to_dict()))
    else:
        _print(open_console(), validation)
    return 0 if validation.passed else EXIT_FAILED


def _print(console: Console, validation: Validation) -> None:
    table = Table(title="fp32, one thread: simulated against published milliseconds", title_justify="left")
    for name in ("network", "phone"):
        table.add_column(name)
    for name in ("M instructions", "published ms", "simulated ms", "error"):
        table.add_column(name, justify="right", no_wrap=True)
    for found in validation.predictions:
        style = None if found.passed else "bold red"
        table.add_row(
            found.network, found.profile, f"{found.m_instructions:.4g}", f"{found.published_ms:g}",
            f"{found.predicted_ms:.1f}", f"{found.error:+.1%}", style=style,
        )  # fmt: skip
    print_table(console, table)
    title = "fp32 over a lower precision: instructions counted here, and times that were published"
    ratios = Table("network", "precision", "profile", title=title, title_justify="left")
    ratios.add_column("counted", justify="right", no_wrap=True)
    ratios.add_column("published")
    for ratio in validation.ratios:
        ratios.add_row(ratio.network, ratio.precision, ratio.profile, f"{ratio.counted:.2f}", ratio.published)
    print_table(console, ratios)
    worst = max(abs(found.error) for found in validation.predictions)
    verdict = "[green]pass[/]" if validation.passed else "[bold red]FAIL[/]"
    console.print(f"largest error {worst:.1%}, limit {TOLERANCE:.0%}: {verdict}")
