"""`python -m benchmarks breadth`: one timm backbone after the other, without a recipe of its own."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from benchmarks.ablation import results
from benchmarks.ablation.results import Result
from benchmarks.ablation.rows import BASE, VARIANT, Row, RowError, changed
from benchmarks.ablation.tables import number
from encoder.config import PRESETS, ConfigError
from encoder.options import TIMM, check_options
from evaluation.budgets import PARITY_COSINE
from evaluation.marked import around, marks, replace
from evaluation.quality.docs import markdown
from evaluation.quality.outputs import ROOT
from evaluation.quality.tables import Table, rich_table
from evaluation.terminal.progress import engine_progress
from evaluation.terminal.tables import open_console, print_table
from runtime.command_line import EXIT_FAILED

BACKBONES = (
    "repvit_m0_9", "mobileone_s0", "efficientvit_b0", "mobilenetv4_conv_small", "ghostnetv2_100",
    "pvt_v2_b0", "starnet_s1", "edgenext_xx_small", "convnext_atto", "resnet18", "tiny_vit_5m_224",
    "fastvit_t8", "mobilevitv2_050", "efficientformerv2_s0", "vit_tiny_patch16_224", "mobilenetv2_050",
    "efficientnet_lite0", "repghostnet_050", "lcnet_050", "tinynet_e", "mixnet_s", "hgnetv2_b0",
    "swiftformer_xs", "mnasnet_small", "fbnetc_100",
)  # fmt: skip
"""Of as many kinds: convolutions, attention, both, and branches that are summed before tracing."""
DOCS = ROOT / "docs" / "breadth.md"
MARKS = marks("breadth", "python -m benchmarks breadth --write-docs")
NAMED = 2
"""Units that the table names of those that were given back."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add(
        "backbones",
        nargs="*",
        metavar="NAME",
        help=f"timm's names (default: {len(BACKBONES)} of as many kinds)",
    )
    add("--write-docs", action="store_true", help="put the rows into docs/breadth.md")
    add("--json", action="store_true", help="print the rows as JSON")


def run(options: argparse.Namespace) -> int:
    """Measures the backbones; returns 0, or 1 where one failed or is not within parity's limits."""
    rows = [_row(name) for name in options.backbones or BACKBONES]
    if options.write_docs:
        around(DOCS, MARKS)
    from benchmarks.ablation import local  # after what is refused: it brings PyTorch
    from benchmarks.ablation.measure import measure

    with engine_progress("reading inputs") as on_progress:
        count = local.default_jobs()
        found = measure(
            rows, lambda jobs, on_done, on_step: local.run_here(jobs, count, on_done, on_step), on_progress
        )
    table = breadth_table(found)
    if options.write_docs:
        replace(DOCS, MARKS, "\n".join([markdown(table), *_failures(found)]))
    if options.json:
        print(json.dumps(results.to_dict(found)))
    else:
        console = open_console()
        print_table(console, rich_table(table))
        for line in _failures(found):
            console.print(line, highlight=False, markup=False)
    return 0 if all(map(passed, found)) else EXIT_FAILED


def _row(name: str) -> Row:
    backbone = TIMM + name.removeprefix(TIMM)
    try:
        config = changed(PRESETS[BASE], {"backbone": backbone})
        check_options(config)
    except ConfigError as error:
        raise RowError(str(error)) from error
    return Row(backbone, VARIANT, config)


def passed(result: Result) -> bool:
    """Whether it was exported, and all of parity is within the limits."""
    figures = result.figures
    return figures is not None and figures["parity"]["passed"] and _phone(result) >= PARITY_COSINE


def _phone(result: Result) -> float:
    """On the emulated phone; where none was run, as on this host."""
    fidelity = result.figures["fidelity"]
    return fidelity.get("phone", fidelity["tflite"])


def breadth_table(found: Sequence[Result]) -> Table:
    """Cost, fidelity of each engine, and what stayed in float; backbones that failed are left out."""
    header = (
        "backbone", "M instructions", "ms", "MB", "TFLite, worst", "phone, worst", "ONNX, worst", "passes",
        "more precision, TFLite", "more precision, ONNX",
    )  # fmt: skip
    return Table("Backbones", header, tuple(_line(result) for result in found if result.figures))


def _line(result: Result) -> tuple[str, ...]:
    figures = result.figures
    fidelity = figures["fidelity"]
    return (
        result.name.removeprefix(TIMM),
        number(result.m_instructions(), 1),
        number(result.phone("encode").get("ms"), 1),
        number(figures["file_bytes"], 2, 1e6),
        *(number(fidelity.get(engine), 3) for engine in ("tflite", "phone", "onnx")),
        "yes" if passed(result) else "no",
        *(_given_back(figures["given_back"][name]) for name in ("tflite", "onnx")),
    )


def _given_back(found: dict) -> str:
    units = found["units"]
    if not units:
        return "nothing"
    layers = sum(unit["layers"] for unit in units)
    names = ", ".join(unit["name"] for unit in units[:NAMED])
    return f"{layers} of {found['layers']}: {names}{', ...' if len(units) > NAMED else ''}"


def _failures(found: Sequence[Result]) -> list[str]:
    return [f"- {result.name.removeprefix(TIMM)}: {result.error}" for result in found if not result.figures]
