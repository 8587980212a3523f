"""Parity of what the emulated engines computed: against PyTorch's golden outputs and this host's engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.arm64.emulator import TargetFile
from evaluation.arm64.errors import Arm64Error
from evaluation.arm64.report import ParityRow, significant
from runtime import parity
from runtime.bundle import SIGNATURES
from runtime.engines import open_model

COMPOSED = "composed"
_METRICS = ("max_abs", "cosine_min", "mean_centred_cosine_min", "self_retrieval")
_TOKENS = {"screen_tokens": "vision", "text_token": "text"}

Outputs = dict[str, np.ndarray]


def read_outputs(folder: Path, files: Sequence[TargetFile]) -> Outputs:
    """Reads what a target saved: signature (or "composed") -> its output, [N, ...]."""
    found = {}
    for signature in (*(name for file in files for name in file.signatures), COMPOSED):
        path = folder / f"{signature}.{_output(signature)}.npy"
        if path.exists():
            found[signature] = np.load(path, allow_pickle=False)
    return found


def run_host(files: Sequence[TargetFile], golden: Mapping[str, np.ndarray]) -> Outputs:
    """Computes the same outputs with this host's engines, one thread.

    Raises:
        EngineError: An engine is not installed or cannot open its file.
    """
    found: Outputs = {}
    for file in files:
        model = open_model(file.path)
        for signature in file.signatures:
            arrays = {name: golden[name][list(file.rows)] for name in SIGNATURES[signature].inputs}
            found[signature] = _run_rows(model, signature, arrays)
            if signature == "fuse" and {"vision", "text"} <= found.keys():
                own = {tensor: found[part] for tensor, part in _TOKENS.items()}
                found[COMPOSED] = _run_rows(model, "fuse", arrays | own)
    return found


def compare(
    outputs: Outputs,
    expected: Outputs,
    golden: Mapping[str, np.ndarray],
    rows: Sequence[int],
    limits: Mapping[str, float],
    **row: str,
) -> list[ParityRow]:
    """Compares outputs with expected ones, signature by signature.

    Few rows are compared against the background of all golden ones: the mean that is taken off, and the
    candidates among which a row must find itself, are those of the whole set.

    Args:
        outputs: signature -> values [len(rows), ...].
        expected: by the same keys.
        golden: PyTorch's outputs of all rows, by tensor name.
        rows: which of the golden rows these are.
        limits: metric -> limit; max_abs for every signature, others for the whole (encode, composed).
        **row: engine, precision, profile and against, for the rows.

    Raises:
        Arm64Error: A limit is on an unknown metric.
    """
    found = []
    for signature, values in outputs.items():
        background = golden[_output(signature)]
        mine, theirs = background.copy(), background.copy()
        mine[list(rows)], theirs[list(rows)] = values, expected[signature]
        figures = parity.compare(mine, theirs)
        figures = {metric: significant(figures[metric], 6) for metric in _METRICS}
        checks = tuple(_checks(signature, figures, limits))
        passed = all(check["passed"] for check in checks)
        fixed = {"signature": signature, "samples": len(rows), "checks": checks, "passed": passed}
        found.append(ParityRow(**row, **figures, **fixed))
    return found


def golden_outputs(outputs: Outputs, golden: Mapping[str, np.ndarray], rows: Sequence[int]) -> Outputs:
    """Returns PyTorch's outputs for the same signatures and rows."""
    return {signature: golden[_output(signature)][list(rows)] for signature in outputs}


def _checks(
    signature: str, figures: Mapping[str, float], limits: Mapping[str, float]
) -> list[dict[str, Any]]:
    checks = []
    for metric, limit in limits.items():
        at_most = metric == "max_abs"
        if metric not in _METRICS:
            raise Arm64Error(f"unknown parity limit {metric!r}: the metrics are {', '.join(_METRICS)}")
        if at_most or signature in ("encode", COMPOSED):
            value = figures[metric]
            passed = value <= limit if at_most else value >= limit  # false for a value that is not a number
            checks.append({"metric": metric, "limit": limit, "value": value, "passed": bool(passed)})
    return checks


def _output(signature: str) -> str:
    return SIGNATURES["encode" if signature == COMPOSED else signature].outputs[0]


def _run_rows(model, signature: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    rows = range(len(next(iter(arrays.values()))))
    runs = [
        model.run(signature, {name: array[row : row + 1] for name, array in arrays.items()}) for row in rows
    ]
    return np.concatenate([run[_output(signature)] for run in runs])
