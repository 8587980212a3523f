"""`python -m export [PRESET]`: a preset, or a config of one's own, becomes a verified bundle."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.text import Text

from encoder.config import PRESETS
from evaluation.terminal.tables import open_console
from evaluation.verdict import Verdict
from export.pipeline import export_bundle, find_unchanged
from export.report.console import print_result, step_progress
from export.request import ROOT, Request, read_request
from runtime.command_line import EXIT_FAILED
from runtime.provenance import PUBLISHED

INTERRUPTED = "interrupted; the bundle in place, if any, is as it was"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    presets = ", ".join(PRESETS)
    parser.add_argument("preset", nargs="?", default="balanced", help=f"one of: {presets} (default balanced)")
    add = parser.add_argument_group("inputs").add_argument
    add("--config", type=Path, metavar="FILE", help="JSON of config keys, in place of a preset's")
    add(
        "--weights", metavar="FILE|published",
        help="safetensors file of the encoder; or published weights of backbone and text model, all else "
        "random (default: the trained checkpoint, without one published weights, else random)",
    )  # fmt: skip
    add("--calibration-data", type=Path, metavar="DIR",
        help="folder with samples.jsonl and its screens (default: the committed screens)")  # fmt: skip
    add("--recipe", type=Path, metavar="FILE", help="quantization recipe, JSON (default: the preset's)")
    add("--seed", type=int, default=0, help="of random weights (default 0)")
    add = parser.add_argument_group("output").add_argument
    add("--out", type=Path, metavar="DIR", help="bundle folder (default dist/PRESET)")
    add("--keep-names", action="store_true",
        help="leave the module paths in encoder.tflite (0.4 MB), for Netron and Model Explorer")  # fmt: skip
    add("--force", action="store_true", help="run every step, even where nothing changed")
    add("--no-arm64", action="store_true",
        help="set no ARM64 emulator up, and run nothing on emulated phones")  # fmt: skip
    add("--json", action="store_true", help="print the manifest as JSON")


def run(options: argparse.Namespace) -> int:
    """Exports; returns 0, or 1 where parity failed.

    Raises:
        StepError: a step failed.
    """
    published = options.weights == PUBLISHED
    request = read_request(
        options.preset,
        config_file=options.config,
        weights=Path(options.weights) if options.weights and not published else None,
        published=published,
        folder=options.calibration_data,
        recipe_file=options.recipe,
        out=options.out,
        seed=options.seed,
        keep_names=options.keep_names,
    )
    console, emulate = open_console(stderr=options.json), not options.no_arm64

    def tell(reason: str) -> None:
        line = f"{_shown(request.out)} cannot be kept and is exported anew: {reason}"
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)

    for note in request.sources.notes:
        console.print(Text(f"no published weights from the hub: {note}", "yellow"), soft_wrap=True)
    manifest = None if options.force else find_unchanged(request, tell, emulate=emulate)
    if manifest is None:
        with step_progress(console) as on_step:
            manifest = export_bundle(request, on_step, force=options.force, emulate=emulate)
    else:
        console.print(f"{_shown(request.out)}: unchanged, nothing to do (--force runs every step)")
    if options.json:
        print(json.dumps(manifest))
    else:
        print_result(console, manifest, _shown(request.out), _following(request))
    budgets = [Verdict.from_dict(values) for values in manifest["budgets"]]
    lost = any(budget.passed is False for budget in budgets if budget.name.startswith("parity"))
    return EXIT_FAILED if lost else 0


def _following(request: Request) -> str:
    """Returns the command that comes after an export."""
    if request.out != ROOT / "dist" / request.preset:
        return f"python -m evaluation check {_shown(request.out)}"
    preset = "" if request.preset == "balanced" else f" PRESET={request.preset}"
    return f"make check quality bench android{preset}"


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
