"""The project's limits, and verdicts on what was measured. The one place that holds a limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evaluation.verdict import Verdict
from runtime.provenance import Weights

PARAMETERS = 13_800_000
LATENCY_MS = 19.0
MEMORY_BYTES = 6_000_000
"""Of the shipped file, and of the private memory that loading and running it adds."""
MEMORY_STEP = 100_000
"""Bytes; the limit is a multiple, so that rounding lets nothing pass that is over it."""
PARITY = {"fp32": {"max_abs": 1e-4}, "int8": {"mean_centred_cosine_min": 0.95, "self_retrieval": 1.0}}
"""Against PyTorch, for the worst of the parity screens, and for the 1st percentile of the test split where
weights are trained. The cosine is the centred one: a plain one hides every error where embeddings lie close
together."""
QUALITY = {
    "R@1 test": (">=", 0.80),
    "class test": (">=", 0.95),
    "class unseen_kit": (">=", 0.75),
    "Spearman": (">=", 0.75),
    "mean_pairwise_cosine": ("<=", 0.5),
}
"""Of the shipped file on the test split: the right target first among 200, the class of screen by its nearest
caption, the text tower's pairwise similarities against its teacher's, and the mean cosine of two screens."""
RETENTION = 0.98
"""Share of every float figure that INT8 keeps at least."""
MASK_IOU = 0.85
"""Mean IoU of the shipped file's region masks with the drawn boxes on the test split, where it has masks."""
PARITY_COSINE = PARITY["int8"]["mean_centred_cosine_min"]
"""Mean-centred cosine of INT8 with PyTorch on the worst parity screen."""
FIDELITY_OF = "balanced"
"""The preset that FIDELITY holds for; the others were trained shortly, and are held to parity alone."""
FIDELITY = {
    "tflite": {
        "test": {"worst": 0.975, "p1": 0.988, "p5": 0.991},
        "unseen_kit": {"worst": 0.957, "p1": 0.985, "p5": 0.990},
        "texts": {"worst": 0.978, "p1": 0.988, "p5": 0.989},
    },
    "onnx": {
        "test": {"worst": 0.975, "p1": 0.985, "p5": 0.988},
        "unseen_kit": {"worst": 0.974, "p1": 0.982, "p5": 0.987},
        "texts": {"worst": 0.967, "p1": 0.980, "p5": 0.983},
    },
}
"""Mean-centred cosine of INT8 with float over all screens and all texts of the test split: the worst, and the
1st and 5th percentile. What `balanced` reached when they were set, less 0.01 for the worst and 0.005 for the
percentiles: engines choose their kernels by the CPU, and other kernels round otherwise."""

SHIPPED = "encoder.tflite"
MEMORY = f"{SHIPPED} private memory"


def limits() -> dict[str, Any]:
    """Returns the limits that travel in the manifest, for the runtimes to judge by."""
    return {
        "parity": PARITY,
        "latency_ms": LATENCY_MS,
        "memory_bytes": MEMORY_BYTES,
        "parameters": PARAMETERS,
        "quality": {key: limit for key, (_, limit) in QUALITY.items()},
        "retention": RETENTION,
        "quality_mean_centred_cosine": PARITY_COSINE,
        "fidelity": FIDELITY,
        "mask_iou": MASK_IOU,
    }


def size_budgets(parameters: int, shipped_bytes: int) -> list[Verdict]:
    """Judges what is known once the files are written."""
    return [
        Verdict("parameters", PARAMETERS, "<", parameters, "", "counted in PyTorch"),
        Verdict(f"{SHIPPED} on disk", MEMORY_BYTES, "<", shipped_bytes, "bytes", "file size"),
    ]


def loading_budget(loaded: int, files: int, faults: Iterable[str] = ()) -> Verdict:
    """Judges how many of the bundle's model files open in their engines and run."""
    how = "; ".join(faults) or "opened and run on this host, a parity screen"
    return Verdict("model files that load and run", files, ">=", loaded, "", how)


def shape_budget(right: int, outputs: int, faults: Iterable[str] = ()) -> Verdict:
    """Judges how many of the model files' outputs have the public dtype and shape."""
    how = "; ".join(faults) or "what came out of that run"
    return Verdict("outputs of the public shape", outputs, ">=", right, "", how)


def weights_budget(weights: Weights) -> Verdict:
    """Judges whether the weights mean anything: with one random part the embedding does not."""
    return Verdict("parts with random weights", 0, "<=", len(weights.random), "", weights.summary)


def memory_budget(private_bytes: int | None, how: str, first_start_bytes: int | None = None) -> Verdict:
    """Judges the private memory that loading the shipped file and running it adds to a process.

    Args:
        private_bytes: as the runtime does it by default, its packed weights in a file; judged to the nearest
            0.1 MB, as some pages come and go.
        how: they were measured, or why not.
        first_start_bytes: the same of the start that makes that file, to be told beside it.
    """
    if private_bytes is not None:
        private_bytes = round(private_bytes / MEMORY_STEP) * MEMORY_STEP
        how += f"; to the nearest {MEMORY_STEP / 1e6} MB"
    if first_start_bytes is not None:
        how += f"; first start {first_start_bytes / 1e6:.1f} MB"
    return Verdict(MEMORY, MEMORY_BYTES, "<", private_bytes, "bytes", how)


def latency_budget(simulated_ms: float | None, profile: str = "", *, reason: str = "") -> Verdict:
    """Judges the simulated time of a whole encode on the target phone, or says why there is none."""
    how = f"not measured: {reason}" if simulated_ms is None else f"simulated, profile {profile}"
    return Verdict("latency of encode", LATENCY_MS, "<", simulated_ms, "ms", how)


def parity_budgets(rows: Iterable[Mapping[str, Any]]) -> list[Verdict]:
    """Judges parity rows, in the manifest's form: of each engine, precision and metric the worst row."""
    checked: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        for check in row["checks"]:
            checked.setdefault((row["engine"], row["precision"], check["metric"]), []).append(check["value"])
    budgets = []
    for (engine, precision, metric), values in checked.items():
        relation, worst = ("<=", max) if metric == "max_abs" else (">=", min)
        limit = PARITY[precision][metric]
        name = f"parity {engine} {precision} {metric}"
        budgets.append(Verdict(name, limit, relation, worst(values), "", "parity screens, this host"))
    return budgets


def arm64_parity_budgets(report: Mapping[str, Any]) -> list[Verdict]:
    """Judges an ARM64 report, in its JSON form: the worst phone's parity, and that every file ran."""
    worst: dict[str, Mapping[str, Any]] = {}
    for verdict in report["verdicts"]:
        if verdict["gated"] and verdict["unit"] != "ms":
            name, sign = verdict["name"], 1 if verdict["relation"] == ">=" else -1
            if name not in worst or sign * verdict["value"] < sign * worst[name]["value"]:
                worst[name] = verdict
    budgets = [
        Verdict(
            f"parity arm64 {name.removeprefix('parity with ')}",
            verdict["limit"],
            verdict["relation"],
            verdict["value"],
            "",
            f"emulated, profile {verdict['profile']}",
        )
        for name, verdict in worst.items()
    ]
    failed = Verdict("parity arm64 files that failed", 0, "<=", len(report["failures"]), "", "emulated")
    return [*budgets, failed]


def quality_budgets(
    report: Mapping[str, Any] | None, skipped: str = "", *, preset: str = FIDELITY_OF
) -> list[Verdict]:
    """Judges a quality report, in the manifest's form.

    The shipped file must reach every limit of QUALITY; each INT8 engine must keep the float figures, and
    stay within parity for 99 % of the test split; those of FIDELITY_OF as near to float as FIDELITY says.

    Args:
        report: None where nothing was measured.
        skipped: why not.
        preset: that was measured.
    """
    if report is None:
        name, how = "quality tflite int8", f"not measured: {skipped}"
        return [
            Verdict(f"{name} {key}", limit, relation, None, "", how)
            for key, (relation, limit) in QUALITY.items()
        ]
    budgets = []
    for row in report["engines"]:
        if row["precision"] != "int8":
            continue
        name, how = f"quality {row['engine']} int8", "test split, this host"
        if row["engine"] == "tflite":
            for key, (relation, limit) in QUALITY.items():
                budgets.append(Verdict(f"{name} {key}", limit, relation, quality_value(row, key), "", how))
            masks = row.get("regions", {}).get("test")
            if masks and masks["mean"] is not None:
                budgets.append(Verdict(f"{name} mask IoU", MASK_IOU, ">=", masks["mean"], "", how))
        share, centred = min(row["retention"].values()), row["mean_centred_cosine"]["min"]
        budgets.append(Verdict(f"{name} accuracy retention", RETENTION, ">=", share, "", "the worst figure"))
        budgets.append(
            Verdict(
                f"{name} mean-centred cosine", PARITY_COSINE, ">=", centred, "", "the worst parity screen"
            )
        )
        low = row["fidelity"]["test"]["p1"]
        name = f"parity {row['engine']} int8 1st percentile"
        budgets.append(Verdict(name, PARITY_COSINE, ">=", low, "", "test split, this host"))
        budgets += _fidelity_budgets(row) if preset == FIDELITY_OF else []
    return budgets


def _fidelity_budgets(row: Mapping[str, Any]) -> list[Verdict]:
    budgets = []
    for part, figures in FIDELITY[row["engine"]].items():
        found = row["fidelity"][part]
        for figure, limit in figures.items():
            name = f"fidelity {row['engine']} int8 {part} {figure}"
            how = f"all {found['n']} of the test split, this host"
            budgets.append(Verdict(name, limit, ">=", found[figure], "", how))
    return budgets


def quality_value(row: Mapping[str, Any], key: str) -> float:
    """The figure of an engine's quality that a key of QUALITY names."""
    values = {
        "R@1 test": row["retrieval"]["test"]["all"]["r1"][0],
        "class test": row["screen_class"]["test"]["accuracy"]["all"][0],
        "class unseen_kit": row["screen_class"]["unseen_kit"]["accuracy"]["all"][0],
        "Spearman": row["spearman"],
        "mean_pairwise_cosine": row["mean_pairwise_cosine"],
    }
    return values[key]
