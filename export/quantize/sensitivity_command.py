"""`python -m export sensitivity BUNDLE`: the layers that cost the shipped file its accuracy."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from evaluation.quality.measure import REFERENCE, SHIPPED
from evaluation.quality.tables import Table, rich_table
from evaluation.terminal.progress import engine_progress
from evaluation.terminal.tables import open_console, print_table
from export.quantize.layers import layer_precisions
from export.quantize.sensitivity import LayerError, layer_errors
from runtime.bundle import Bundle, select_files
from runtime.json_text import read_json
from runtime.parity import GOLDEN, load_golden
from runtime.report import plain_json

LAYERS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("bundle", metavar="BUNDLE", help="a folder that `python -m export` wrote")
    parser.add_argument("--json", action="store_true", help="print all layers as JSON")


def run(options: argparse.Namespace) -> int:
    """Runs both files layer by layer, and prints the layers that add the most noise; returns 0."""
    bundle = Bundle.load(options.bundle)
    with engine_progress("running both files layer by layer"):
        golden = load_golden(bundle.file(GOLDEN), bundle.tensors)
        files = [
            bundle.file(select_files(bundle.files, *engine)["vision"]) for engine in (REFERENCE, SHIPPED)
        ]
        errors = layer_errors(*files, _precisions(bundle, files[1]), golden)
    if options.json:
        print(plain_json([vars(error) for error in errors]))
    else:
        print_table(open_console(), rich_table(layers_table(errors)))
    return 0


def _precisions(bundle: Bundle, int8: Path) -> list[dict[str, str]]:
    """The layers as the bundle lists them; a bundle without a list keeps their names in the file itself."""
    if "plan.json" in bundle.files:
        return read_json(bundle.file("plan.json"))["layers"]
    return layer_precisions(int8)


def layers_table(errors: Sequence[LayerError]) -> Table:
    """The layers that add the most noise."""
    header = ("layer", "signature", "operator", "precision", "noise, %", "added, %")
    lines = tuple(
        (
            row.layer,
            row.signature,
            row.operator,
            row.precision,
            f"{100 * row.noise:.2f}",
            f"{100 * row.added:.2f}",
        )
        for row in errors[:LAYERS]
    )
    return Table(
        f"Noise of the INT8 layers, the {len(lines)} that add the most (% of the signal's power)",
        header,
        lines,
    )
