"""The ablation as tables of texts: the cost and the accuracy of each encoder."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks.ablation.results import Result, front
from evaluation.budgets import QUALITY
from evaluation.quality.tables import Table
from runtime.provenance import Weights

NOTHING = "-"
STALE = "†"
DIGITS = {"Spearman": 3, "mean_pairwise_cosine": 3}
"""Of the figures of quality that are no shares."""
_PREFIX = re.compile(r"^quality tflite int8 |^encoder\.tflite (?=private)")


def tables(results: Sequence[Result]) -> list[Table]:
    """The cost of the rows that have figures, and the accuracy of those whose weights are trained."""
    shown = [result for result in results if result.figures is not None]
    rated = [result for result in shown if result.quality() is not None]
    return [*([costs(shown)] if shown else []), *([accuracy(rated)] if rated else [])]


def costs(results: Sequence[Result]) -> Table:
    """Parameters, bytes, memory, and instructions and milliseconds on the phone that decides."""
    target = _target(results)
    header = (
        "encoder", "parameters, M", "encoder.tflite, MB", "private MB",
        f"{target}, M instructions", "keystroke, M instructions", f"{target}, ms",
        "export, s",
    )  # fmt: skip
    return Table("Cost", header, tuple(map(_cost_line, results)))


def _cost_line(result: Result) -> tuple[str, ...]:
    found = result.figures
    return (
        label(result),
        number(found["parameters"]["total"], 2, 1e6),
        number(found["file_bytes"], 2, 1e6),
        number(found["private_bytes"], 1, 1e6),
        number(result.m_instructions(), 1),
        number(result.m_instructions("keystroke"), 2),
        number(result.phone("encode", found["target"]).get("ms"), 1),
        number(found["export_s"], 0),
    )


def accuracy(results: Sequence[Result]) -> Table:
    """Weights, how near INT8 is to PyTorch, and accuracy."""
    header = (
        "encoder",
        "weights",
        "mean-centred cosine, worst",
        "mean",
        *(key.replace("_", " ") for key in QUALITY),
        "accuracy retention, %",
    )
    return Table("Accuracy", header, tuple(map(_accuracy_line, results)))


def _accuracy_line(result: Result) -> tuple[str, ...]:
    found = result.figures
    parity, quality = found["parity"], found["quality"] or {}
    return (
        label(result),
        Weights.from_dict(found["weights"]).source,
        number(parity["mean_centred_cosine_min"], 3),
        number(parity["mean_centred_cosine_mean"], 3),
        *(_figure(key, quality.get(key)) for key in QUALITY),
        number(found["retention"], 1, 0.01),
    )


def _figure(key: str, value: float | None) -> str:
    return (
        number(value, DIGITS[key])
        if key in DIGITS
        else f"{number(value, 1, 0.01)}{' %' * (value is not None)}"
    )


def notes(results: Sequence[Result]) -> list[str]:
    """A line for each row without figures or count, and for limits missed and figures of earlier code."""
    lines = [f"{result.name}: {result.error}" for result in results if result.figures is None]
    for result in results:
        if result.figures is None:
            continue
        if result.figures["missed"]:
            missed = (_PREFIX.sub("", name) for name in result.figures["missed"])
            lines.append(f"{result.name} misses: {'; '.join(missed)}")
        if result.figures["not_counted"]:
            lines.append(f"{result.name}: no instructions: {result.figures['not_counted']}")
        if result.also:
            lines.append(f"{result.name} is also {', '.join(result.also)}")
    if any(result.stale for result in results):
        lines.append(f"{STALE} measured by earlier code, or with other weights or screens")
    return lines


def verdict_line(results: Sequence[Result]) -> str:
    """Says which rows no other row beats, in instructions and bytes, and in instructions and quality."""
    by_size = front(size_points(results))
    by_quality = front(quality_points(results))
    said = [f"fewest instructions for the bytes: {', '.join(by_size)}"] if by_size else []
    said += [f"fewest instructions for the quality: {', '.join(by_quality)}"] if by_quality else []
    return "; ".join(said) or "nothing was counted"


def size_points(results: Sequence[Result]) -> dict[str, tuple[float, float]]:
    """Instructions, M, and bytes of the rows that have both."""
    counted = [result for result in results if result.m_instructions() is not None]
    return {result.name: (result.m_instructions(), result.figures["file_bytes"]) for result in counted}


def quality_points(results: Sequence[Result]) -> dict[str, tuple[float, float]]:
    """Instructions, M, and how often the right text is not first, of the rows that have both."""
    rated = [
        result for result in results if result.m_instructions() is not None and result.quality() is not None
    ]
    return {result.name: (result.m_instructions(), 1 - result.quality()) for result in rated}


def _target(results: Sequence[Result]) -> str:
    return next((r.figures["target"] for r in results if r.figures and r.figures["target"]), "target")


def label(result: Result) -> str:
    """A row's name, marked where its figures are old."""
    return f"{result.name} {STALE}" if result.stale else result.name


def number(value: float | None, digits: int, unit: float = 1.0) -> str:
    """A figure in its unit; a dash for none."""
    return NOTHING if value is None else f"{value / unit:.{digits}f}"
