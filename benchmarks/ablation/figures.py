"""What a row of the ablation knows of its encoder, read off the manifest of the bundle that was exported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluation.arm64.report import SHIPPED
from evaluation.budgets import MEMORY, QUALITY, quality_value
from evaluation.budgets import SHIPPED as SHIPPED_FILE
from evaluation.verdict import Verdict

Figures = dict[str, Any]


def figures(manifest: Mapping[str, Any], export_s: float) -> Figures:
    """Returns a row's figures as JSON types; what was not measured is None, with the reason beside it.

    Args:
        manifest: of the exported bundle.
        export_s: seconds of the export, from an empty cache.

    Returns:
        weights (the manifest's entry), parameters by part, file_bytes, private_bytes, phones (profile ->
        encode and keystroke -> m_instructions, ms, ms_range), not_counted, quality (keys of
        `budgets.QUALITY`), retention, not_rated, parity
        (mean_centred_cosine_min and _mean of a whole encode in INT8, passed), fidelity (engine ->
        mean_centred_cosine_min of a whole encode in INT8; "phone" is TFLite on the target), given_back (what
        the recipe's search did, by format), missed (limits that fail), export_s.
    """
    quality, kept, not_rated = _quality(manifest)
    budgets = [Verdict.from_dict(values) for values in manifest["budgets"]]
    return {
        "weights": manifest["weights"],
        "parameters": dict(manifest["parameters"]),
        "file_bytes": manifest["files"][SHIPPED_FILE]["bytes"],
        "private_bytes": next(budget.value for budget in budgets if budget.name == MEMORY),
        "phones": _phones(manifest),
        "target": manifest["arm64"]["target"] if "arm64" in manifest else None,
        "not_counted": "" if "arm64" in manifest else "the emulator was not set up: make arm64",
        "quality": quality,
        "retention": kept,
        "not_rated": not_rated,
        "parity": _parity(manifest),
        "fidelity": _fidelity(manifest),
        "given_back": manifest["given_back"],
        "missed": [budget.name for budget in budgets if budget.passed is False],
        "export_s": round(export_s, 1),
    }


def _phones(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    phones: dict[str, dict[str, Any]] = {}
    for path in manifest.get("arm64", {}).get("paths", ()):
        kept = {key: path[key] for key in ("m_instructions", "ms", "ms_range")}
        phones.setdefault(path["profile"], {})[path["path"]] = kept
    return phones


def _quality(manifest: Mapping[str, Any]) -> tuple[dict[str, float] | None, float | None, str]:
    report = manifest["quality"]
    if report is None:
        how = next(b["how"] for b in manifest["budgets"] if b["name"].startswith("quality"))
        return None, None, how.removeprefix("not measured: ")
    row = next(row for row in report["engines"] if (row["engine"], row["precision"]) == SHIPPED)
    return {key: quality_value(row, key) for key in QUALITY}, min(row["retention"].values()), ""


def _fidelity(manifest: Mapping[str, Any]) -> dict[str, float]:
    target = manifest.get("arm64", {}).get("target")
    return {
        row["engine"] if row.get("profile") is None else "phone": row["mean_centred_cosine_min"]
        for row in (*manifest["parity"], *manifest.get("arm64", {}).get("parity", ()))
        if row["precision"] == "int8"
        and row["signature"] == ("encode" if row.get("profile") is None else "composed")
        and row.get("profile") in (None, target)
        and row.get("against", "pytorch") == "pytorch"
    }


def _parity(manifest: Mapping[str, Any]) -> dict[str, Any]:
    whole = next(
        row
        for row in manifest["parity"]
        if (row["engine"], row["precision"], row["signature"]) == (*SHIPPED, "encode")
    )
    return {
        "mean_centred_cosine_min": whole["mean_centred_cosine_min"],
        "mean_centred_cosine_mean": whole["mean_centred_cosine_mean"],
        "passed": all(row["passed"] for row in manifest["parity"]),
    }
