"""`python -m benchmarks compare [BUNDLE]`: the shipped file beside what other tools make."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from benchmarks.baselines import BASELINES
from benchmarks.chart import write_chart
from benchmarks.compare import Comparison, compare
from benchmarks.inputs import prepare
from benchmarks.processes import ROOT
from benchmarks.tables import markdown, notes, rich_table, verdict_line, write_docs
from evaluation.terminal.progress import engine_progress
from evaluation.terminal.tables import open_console
from runtime.bundle import Bundle
from runtime.report import plain_json

INTERRUPTED = "interrupted; files that were made need not be made again"
DOCS = ROOT / "docs" / "results.md"
CHART = "compare.png"
CAPTION = "Bytes and instructions of the same weights by other tools"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    names = [baseline.name for baseline in BASELINES]
    add("bundle", nargs="?", type=Path, default=ROOT / "dist" / "balanced", metavar="BUNDLE",
        help="a folder that `python -m export` wrote (default: dist/balanced)")  # fmt: skip
    add("--only", nargs="+", choices=names, metavar="NAME", default=[],
        help=f"compare with some of {', '.join(names)} (default: all)")  # fmt: skip
    add(
        "--weights",
        type=Path,
        metavar="FILE",
        help="safetensors file, where the bundle was exported from one",
    )
    add("--out", type=Path, default=ROOT / "build" / "compare", metavar="DIR",
        help="keeps tools, files and results (default: build/compare)")  # fmt: skip
    add("--no-arm64", action="store_true", help="count no instructions")
    add("--write-docs", action="store_true", help="put the table into docs/results.md")
    add("--json", action="store_true", help="print the comparison as JSON")


def run(options: argparse.Namespace) -> int:
    """Compares a bundle; returns 0."""
    bundle = Bundle.load(options.bundle)
    bundle.require("preset", "weights")
    with engine_progress("weights and calibration screens") as on_progress:
        inputs = prepare(bundle, options.out.absolute(), options.weights)
        found = compare(
            bundle, inputs, options.out, only=options.only, emulate=not options.no_arm64,
            on_progress=on_progress,
        )  # fmt: skip
    options.out.mkdir(parents=True, exist_ok=True)
    _keep(found, options.out)
    if options.write_docs:
        shutil.copy(options.out / CHART, DOCS.parent / "images" / CHART)
        write_docs(f"{markdown(found, calls=False)}\n![{CAPTION}](images/{CHART})\n", DOCS)
    if options.json:
        print(plain_json(found.to_dict()))
        return 0
    console = open_console()
    console.print(rich_table(found))
    for line in notes(found.rows):
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
    console.print(verdict_line(found.rows), style="bold", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{options.out}: compare.json, compare.md, {CHART}", markup=False, highlight=False)
    return 0


def _keep(found: Comparison, folder: Path) -> None:
    (folder / "compare.json").write_text(json.dumps(found.to_dict(), indent=1) + "\n", encoding="utf-8")
    (folder / "compare.md").write_text(markdown(found), encoding="utf-8")
    write_chart(found, folder / CHART)
