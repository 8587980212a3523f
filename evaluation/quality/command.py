"""`python -m evaluation quality BUNDLE`: how good a bundle's embeddings are. It loads no PyTorch."""

from __future__ import annotations

import argparse
from pathlib import Path

from evaluation.budgets import quality_budgets
from evaluation.quality import baseline
from evaluation.quality.measure import ENGINES, REFERENCE, measure
from evaluation.quality.outputs import Models
from evaluation.quality.split import FOLDER, read_split
from evaluation.quality.tables import rich_table, tables
from evaluation.terminal.console import print_verdicts
from evaluation.terminal.progress import engine_progress
from evaluation.terminal.tables import open_console, print_table
from runtime.bundle import Bundle
from runtime.command_line import EXIT_FAILED
from runtime.provenance import Weights
from runtime.report import plain_json

INTERRUPTED = "interrupted; engines that were done need not run again"
ENGINE_NAMES = {f"{engine}-{precision}": (engine, precision) for engine, precision in ENGINES}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="a folder that `python -m export` wrote, such as dist/balanced")
    add("--engines", nargs="+", choices=ENGINE_NAMES, metavar="NAME", default=list(ENGINE_NAMES),
        help=f"some of {', '.join(ENGINE_NAMES)} (default: all; the first is the reference)")  # fmt: skip
    add("--split", type=Path, default=FOLDER, metavar="DIR", help="test split (default: the committed one)")
    add("--json", action="store_true", help="print the report as JSON")
    group = parser.add_argument_group("for this repository")
    group.add_argument(
        "--write-docs", action="store_true", help="put tables and pictures into docs/results.md"
    )
    group.add_argument("--record-random", action="store_true",
        help="keep this bundle's figures, of random weights, as the row to compare with")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Measures a bundle; returns 0, or 1 where a limit failed."""
    bundle = Bundle.load(options.bundle)
    bundle.require("weights", "preset")
    weights = Weights.from_dict(bundle.manifest["weights"])
    engines = [ENGINE_NAMES[name] for name in ENGINE_NAMES if name in options.engines]
    split = read_split(options.split, user_embed_dim=bundle.tensors["user"].shape[1])
    with engine_progress("reading the test split") as on_progress:
        models = Models.of_bundle(bundle, [REFERENCE, *engines])
        report, work, outputs = measure(models, split, engines, on_progress)
    if options.record_random:
        baseline.record(report, weights)
    if options.write_docs:
        from evaluation.quality.docs import write_docs

        write_docs(report, split, work, outputs)
    verdicts = quality_budgets(report, preset=bundle.manifest["preset"])
    if options.json:
        print(plain_json(report | {"budgets": [verdict.to_dict() for verdict in verdicts]}))
    else:
        console = open_console()
        console.print(_heading(options.bundle, weights, report))
        for table in tables(report):
            print_table(console, rich_table(table))
        print_verdicts(console, verdicts)
    return EXIT_FAILED if any(verdict.passed is False for verdict in verdicts) else 0


def _heading(bundle: str, weights: Weights, report: dict) -> str:
    split = report["split"]
    samples = ", ".join(f"{count} of {name}" for name, count in split["samples"].items())
    return f"{bundle} (weights: {weights.source}), {samples}, {split['candidates']} candidates each"
