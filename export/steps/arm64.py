"""The shipped file on the emulated phones."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation import arm64
from evaluation.arm64.profiles import choose
from evaluation.arm64.report import SHIPPED
from evaluation.arm64.toolchain import open_toolchain
from evaluation.budgets import limits
from export.quantize.search.trial import Trials
from export.quantize.tflite import operators, without_unmatched_rules
from export.steps.files import GIVEN_BACK, MODEL_FILES, given_back, read_arrays, side_by_side, tensors_of
from runtime.bundle import Bundle, file_sha256, select_files
from runtime.parity import GOLDEN

if TYPE_CHECKING:
    from export.request import Request


def make_arm64(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Runs the shipped file on the emulated phones, and counts what a found recipe gave up."""
    shipped = set(select_files(MODEL_FILES, *SHIPPED).values())
    steps = {GOLDEN: "golden"} | {name: MODEL_FILES[name]["step"] for name in shipped}
    with side_by_side(folders, out, steps):
        files = {name: {"sha256": file_sha256(out / name)} | MODEL_FILES.get(name, {}) for name in steps}
        manifest = {"preset": request.preset, "limits": limits(), "files": files}
        bundle = Bundle(out, manifest, tensors_of(request, folders["encoder"]))
        report = arm64.measure(bundle, models=[SHIPPED]).to_dict()
    (out / "arm64.json").write_text(json.dumps(report))
    more = _given_back(request, folders, report)
    (out / GIVEN_BACK).write_text(json.dumps({} if more is None else {"m_instructions": round(more, 4)}))


def _given_back(request: Request, folders: Mapping[str, Path], report: Mapping[str, Any]) -> float | None:
    """Millions of instructions that an encode takes more on the target than by the recipe as it began.

    None where nothing was given back.
    """
    found = given_back(folders["tflite_recipe"])
    if not found or not found["units"]:
        return None
    source = folders["tflite"] / "encoder_fp32.tflite"
    start = without_unmatched_rules(request.recipe.tflite, operators(source))
    arrays, (target,) = read_arrays(folders["golden"] / "calibration.npz"), choose([report["target"]])
    with tempfile.TemporaryDirectory(prefix="pocket-recipe-") as cache:
        trials = Trials(source, arrays, target, open_toolchain(), Path(cache))
        trials.calibrate(start)
        before = trials.measure(start).encode_m_instructions
    paths = {(row["path"], row["profile"]): row["m_instructions"] for row in report["paths"]}
    return paths["encode", target.name] - before
