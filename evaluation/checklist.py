"""Measures the checklist on a bundle: what loads, what comes out, how large, how fast, and what it knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evaluation import arm64, budgets
from evaluation.arm64.report import SHIPPED
from evaluation.memory import memory_verdict
from evaluation.verdict import Verdict
from runtime.bundle import Bundle
from runtime.engines import EngineError, Model, describe, fits, open_model
from runtime.parity import GOLDEN, load_golden
from runtime.provenance import Weights

LOADS, SHAPES, PARAMETERS, LATENCY, SIZE, WEIGHTS = ITEMS = (
    "all models load",
    "output shapes",
    "parameters",
    "latency",
    "size after quantization",
    "weights",
)


def measure(bundle: Bundle) -> list[Verdict]:
    """Answers all six items, in order.

    Loads and runs every model file, measures memory in fresh processes, and counts instructions where the
    export did not and the emulator is there.

    Raises:
        BundleError: the manifest lacks what an export writes into it, or the golden samples are unusable.
    """
    counted = ("arm64",) if "arm64" in bundle.manifest else ()
    bundle.require("preset", "weights", "parameters", "budgets", *counted)
    weights = Weights.from_dict(bundle.manifest["weights"])
    runs = run_files(bundle)
    shipped = bundle.file(budgets.SHIPPED).stat().st_size
    parameters, on_disk = budgets.size_budgets(bundle.manifest["parameters"]["total"], shipped)
    found = {
        LOADS: [budgets.loading_budget(runs.loaded, runs.files, runs.broken)],
        SHAPES: [budgets.shape_budget(runs.right, runs.outputs, runs.misshapen)],
        PARAMETERS: [parameters],
        LATENCY: latency_verdicts(_counted(bundle)),
        SIZE: [on_disk, memory_verdict(bundle)],
        WEIGHTS: [budgets.weights_budget(weights)],
    }
    return [replace(verdict, item=item) for item, verdicts in found.items() for verdict in verdicts]


@dataclass
class Runs:
    """What became of the model files.

    Attributes:
        files, loaded: how many there are, and how many opened and ran.
        outputs, right: how many outputs they owe, and how many came out in the public dtype and shape.
        broken, misshapen: a line for each that did not.
    """

    files: int = 0
    loaded: int = 0
    outputs: int = 0
    right: int = 0
    broken: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)


def run_files(bundle: Bundle) -> Runs:
    """Opens every model file in its engine and runs each of its signatures on the first golden sample.

    Raises:
        InputError: the golden samples are unusable.
    """
    golden = load_golden(bundle.file(GOLDEN), bundle.tensors)
    runs = Runs()
    for name, entry in bundle.files.items():
        if "engine" not in entry:
            continue
        signatures = {key: bundle.manifest["signatures"][key] for key in entry["signatures"]}
        runs.files += 1
        runs.outputs += sum(len(signature["outputs"]) for signature in signatures.values())
        try:
            model = open_model(bundle.file(name))
            for key, signature in signatures.items():
                _check_outputs(model, key, signature, golden, bundle, runs)
        except EngineError as error:
            runs.broken.append(str(error).removeprefix(f"{bundle.path}/"))
        else:
            runs.loaded += 1
    return runs


def _check_outputs(
    model: Model,
    key: str,
    signature: Mapping[str, Any],
    golden: Mapping[str, np.ndarray],
    bundle: Bundle,
    runs: Runs,
) -> None:
    found = model.run(key, {name: golden[name][:1] for name in signature["inputs"]})
    for name in signature["outputs"]:
        array, spec = found.get(name), bundle.tensors[name]
        if array is not None and fits(spec, array.dtype.name, array.shape):
            runs.right += 1
        else:
            what = "is missing" if array is None else f"is {describe(array)}"
            runs.misshapen.append(f"{model.path.name}: {key}: {name} {what}, not {describe(spec)}")


def latency_verdicts(report: Mapping[str, Any] | None) -> list[Verdict]:
    """Judges a whole encode on every phone of an ARM64 report, in its JSON form; the target decides."""
    if report is None:
        return [budgets.latency_budget(None, reason=arm64.available().reason)]
    found = []
    for path in report["paths"]:
        if path["path"] != "encode":
            continue
        verdict, gated = (
            budgets.latency_budget(path["ms"], path["profile"]),
            path["profile"] == report["target"],
        )
        name = verdict.name if gated else f"{verdict.name}, {path['profile']}"
        found.append(replace(verdict, name=name, gated=gated))
    return sorted(found, key=lambda verdict: not verdict.gated)


def _counted(bundle: Bundle) -> Mapping[str, Any] | None:
    if "arm64" in bundle.manifest or not arm64.available():
        return bundle.manifest.get("arm64")
    return arm64.measure(bundle.path, models=[SHIPPED]).to_dict()
