"""Command line: `python -m export.quality BUNDLE`. It loads no PyTorch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table as RichTable
from rich.text import Text

from encoder.provenance import Weights
from export.budgets import quality_budgets
from export.quality import baseline
from export.quality.layers import layer_errors
from export.quality.measure import ENGINES, REFERENCE, SHIPPED, measure
from export.quality.outputs import Models
from export.quality.split import FOLDER, read_split
from export.quality.tables import Table, layers_table, tables
from export.quantize.layers import layer_precisions
from export.report.console import print_budgets
from export.report.progress import engine_progress
from export.report.tables import open_console, print_table
from runtime.bundle import Bundle, select_files
from runtime.json_text import read_json
from runtime.parity import GOLDEN, load_golden
from runtime.report import plain_json
from runtime.terminal import Parser, error_line

EXIT_GATE, EXIT_USE, EXIT_INTERRUPT = 1, 2, 130
ENGINE_NAMES = {f"{engine}-{precision}": (engine, precision) for engine, precision in ENGINES}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures a bundle; returns 0, 1 where a limit failed, or 2 for bad use or bad input."""
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.refuse(unknown)
    try:
        return _run(options)
    except ValueError as error:
        return _fail(str(error), EXIT_USE)
    except OSError as error:
        return _fail(f"{error.filename or 'disk'}: {error.strerror}", EXIT_USE)
    except KeyboardInterrupt:
        return _fail("interrupted; engines that were done need not run again", EXIT_INTERRUPT)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m export.quality",
        description="Measures what a bundle's encoder is worth, on the committed test split: the right text "
        "among 200, the kind of screen by caption, the text tower, and what INT8 keeps.",
        epilog="Exit status: 0 all well, 1 a limit failed, 2 bad use or bad input.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="a folder that `python -m export` wrote, such as dist/balanced")
    add("--engines", nargs="+", choices=ENGINE_NAMES, metavar="NAME", default=list(ENGINE_NAMES),
        help=f"some of {', '.join(ENGINE_NAMES)} (default: all; the first is the reference)")  # fmt: skip
    add("--split", type=Path, default=FOLDER, metavar="DIR", help="test split (default: the committed one)")
    add("--layers", action="store_true", help="list the layers that cost the shipped file its accuracy")
    add("--write-docs", action="store_true", help="put tables and pictures into docs/results.md")
    add("--json", action="store_true", help="print the report as JSON")
    add("--record-random", action="store_true",
        help="keep this bundle's figures, of random weights, as the row to compare with")  # fmt: skip
    return parser


def _run(options: argparse.Namespace) -> int:
    bundle = Bundle.load(options.bundle)
    return _layers(bundle, options) if options.layers else _quality(bundle, options)


def _quality(bundle: Bundle, options: argparse.Namespace) -> int:
    bundle.require("weights")
    weights = Weights.from_dict(bundle.manifest["weights"])
    engines = [ENGINE_NAMES[name] for name in ENGINE_NAMES if name in options.engines]
    split = read_split(options.split, user_embed_dim=bundle.tensors["user"].shape[1])
    with engine_progress("reading the test split") as on_progress:
        models = Models.of_bundle(bundle, [REFERENCE, *engines])
        report, work, outputs = measure(models, split, engines, on_progress)
    if options.record_random:
        baseline.record(report, weights)
    if options.write_docs:
        from export.quality.docs import write_docs

        write_docs(report, split, work, outputs)
    verdicts = quality_budgets(report)
    if options.json:
        print(plain_json(report | {"budgets": [verdict.to_dict() for verdict in verdicts]}))
    else:
        console = open_console()
        console.print(_heading(options.bundle, weights, report))
        for table in tables(report):
            print_table(console, _rich(table))
        print_budgets(console, verdicts)
    return EXIT_GATE if any(verdict.passed is False for verdict in verdicts) else 0


def _layers(bundle: Bundle, options: argparse.Namespace) -> int:
    with engine_progress("running both files layer by layer"):
        golden = load_golden(bundle.file(GOLDEN), bundle.tensors)
        files = [
            bundle.file(select_files(bundle.files, *engine)["vision"]) for engine in (REFERENCE, SHIPPED)
        ]
        errors = layer_errors(*files, _precisions(bundle, files[1]), golden)
    if options.json:
        print(plain_json([vars(error) for error in errors]))
    else:
        print_table(open_console(), _rich(layers_table(errors)))
    return 0


def _precisions(bundle: Bundle, int8: Path) -> list[dict[str, str]]:
    """The layers as the bundle lists them; a bundle without a list keeps their names in the file itself."""
    if "plan.json" in bundle.files:
        return read_json(bundle.file("plan.json"))["layers"]
    return layer_precisions(int8)


def _heading(bundle: str, weights: Weights, report: dict) -> str:
    split = report["split"]
    samples = ", ".join(f"{count} of {name}" for name, count in split["samples"].items())
    return f"{bundle} (weights: {weights.source}), {samples}, {split['candidates']} candidates each"


def _rich(table: Table) -> RichTable:
    shown = RichTable(title=table.title, title_justify="left")
    for index, name in enumerate(table.header):
        shown.add_column(name, justify="right" if index else "left")
    for row in table.rows:
        shown.add_row(*map(Text, row))
    return shown


def _fail(message: str, code: int) -> int:
    sys.stderr.write(error_line(message))
    return code


if __name__ == "__main__":
    sys.exit(main())
