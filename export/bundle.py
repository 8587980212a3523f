"""The bundle: collects the steps' files, writes the manifest, and swaps the whole folder in at once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from encoder.tokenizers import tokenizer_files
from evaluation import budgets
from evaluation.verdict import Verdict
from export.calibration import max_user_norm
from export.report.html import render_report
from export.request import Request, tool_versions
from export.steps.files import LAYERS, MODEL_FILES, UNKNOWN, given_back, stored_recipe, tensors_of
from runtime.bundle import REGION_MASKS, file_sha256, signatures
from runtime.files import whole_folder
from runtime.manifest import SCHEMA_VERSION, write_manifest

OTHER_FILES = {"golden.npz": "golden"}
RECIPES = ("tflite", "onnx")
"""Formats that have a recipe each, of the step `FORMAT_recipe`."""
REPORT = "report.html"


def write_bundle(
    request: Request, folders: Mapping[str, Path], inputs_sha256: str, not_emulated: str = ""
) -> dict[str, Any]:
    """Writes the bundle to a temporary folder beside its place, then swaps it in whole.

    Args:
        request: what was exported.
        folders: of the steps, by name.
        inputs_sha256: over everything that decided the result; an export with the same need not run.
        not_emulated: why nothing was run on emulated phones; empty where it was.

    Returns:
        The manifest.
    """
    with whole_folder(request.out) as staging:
        for name, entry in MODEL_FILES.items():
            shutil.copyfile(folders[entry["step"]] / name, staging / name)
        for name, step in OTHER_FILES.items():
            shutil.copyfile(folders[step] / name, staging / name)
        (staging / "plan.json").write_text(json.dumps(_plan(folders), indent=1) + "\n")
        for name, path in tokenizer_files(request.config).files.items():
            shutil.copyfile(path, staging / name)
        manifest = _manifest(request, folders, staging, inputs_sha256)
        if not not_emulated:
            manifest["arm64"] = json.loads((folders["arm64"] / "arm64.json").read_text())
            if manifest["given_back"]["tflite"]:
                manifest["given_back"]["tflite"] |= given_back(folders["arm64"])
        verdicts = _verdicts(manifest, folders, not_emulated)
        manifest["budgets"] = [verdict.to_dict() for verdict in verdicts]
        (staging / REPORT).write_text(render_report(manifest, staging, folders["quality"]), encoding="utf-8")
        manifest["files"][REPORT] = _entry(staging / REPORT)
        return write_manifest(staging, manifest)


def _plan(folders: Mapping[str, Path]) -> dict[str, Any]:
    """The recipe of both formats, and the precision of every layer of the .tflite."""
    parts = {name: folders[f"{name}_recipe"] for name in RECIPES}
    recipe = stored_recipe(parts["tflite"]).to_dict() | {"onnx": asdict(stored_recipe(parts["onnx"]).onnx)}
    layers = json.loads((folders["tflite_int8"] / LAYERS).read_text())
    return {
        "recipe": recipe,
        "layers": layers,
    }


def _manifest(
    request: Request, folders: Mapping[str, Path], staging: Path, inputs_sha256: str
) -> dict[str, Any]:
    facts = json.loads((folders["encoder"] / "encoder.json").read_text())
    parity = json.loads((folders["parity"] / "parity.json").read_text())
    quality = json.loads((folders["quality"] / "quality.json").read_text())
    config = request.config.to_dict()
    tensors = tensors_of(request, folders["encoder"])
    return {
        "schema_version": SCHEMA_VERSION,
        "preset": request.preset,
        "config": config,
        "weights": facts["weights"],
        "tools": tool_versions(),
        "inputs_sha256": inputs_sha256,
        "tensors": {name: {"dtype": spec.dtype, "shape": list(spec.shape)} for name, spec in tensors.items()},
        "signatures": {
            name: {"inputs": list(entry.inputs), "outputs": list(entry.outputs)}
            for name, entry in signatures(masks=REGION_MASKS in tensors).items()
        },
        "preprocessing": {
            "image": {"method": "area_integer", "size": config["image_size"], "channels": "RGB"},
            "user": {"method": "bound_norm", "max_norm": max_user_norm(request.samples)},
        },
        "tokenizer": {
            **tokenizer_files(request.config).entry,
            "max_length": config["text_max_length"],
            "truncation": config["text_truncation"],
            "unknown_shares": json.loads((folders["inputs"] / UNKNOWN).read_text()),
        },
        "files": {path.name: _entry(path) for path in sorted(staging.iterdir())},
        "parameters": facts["parameters"],
        "given_back": {name: given_back(folders[f"{name}_recipe"]) for name in RECIPES},
        "limits": budgets.limits(),
        "parity": parity,
        "quality": quality["report"],
    }


def _verdicts(manifest: Mapping[str, Any], folders: Mapping[str, Path], not_emulated: str) -> list[Verdict]:
    memory = json.loads((folders["memory"] / "memory.json").read_text())
    skipped = json.loads((folders["quality"] / "quality.json").read_text())["skipped"]
    report = manifest.get("arm64")
    latency = (report["simulated_ms"], report["target"]) if report else (None, "")
    return [
        *budgets.size_budgets(manifest["parameters"]["total"], manifest["files"][budgets.SHIPPED]["bytes"]),
        Verdict.from_dict(memory),
        budgets.latency_budget(*latency, reason=not_emulated or "the shipped file failed there"),
        *budgets.parity_budgets(manifest["parity"]),
        *(budgets.arm64_parity_budgets(report) if report else ()),
        *budgets.quality_budgets(manifest["quality"], skipped, preset=manifest["preset"]),
    ]


def _entry(path: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {"sha256": file_sha256(path), "bytes": path.stat().st_size}
    model = MODEL_FILES.get(path.name, {})
    return entry | {key: value for key, value in model.items() if key != "step"}
