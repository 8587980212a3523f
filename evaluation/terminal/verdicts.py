"""Verdicts for a terminal: a line each, the alike in one, at most MOST; what fails has a line of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.terminal.format import verdict_row
from evaluation.verdict import Verdict

MOST = 14
NAME_WIDTH = 29
"""The longest name; with value, limit and verdict it fills 60 columns."""
GROUPS = (
    ("private memory", r"encoder\.tflite private memory"),
    ("parity, float", r"parity (tflite|onnx) fp32 .*"),
    ("parity, INT8", r"parity (tflite|onnx) int8 .*|quality .* mean-centred cosine"),
    ("parity, ARM64", r"parity arm64 .*"),
    ("right text first of 200, R@1", r"quality tflite int8 R@1 test"),
    ("zero-shot class", r"quality tflite int8 class (test|unseen_kit)"),
    ("text tower, Spearman", r"quality tflite int8 Spearman"),
    ("mean pairwise cosine", r"quality tflite int8 mean_pairwise_cosine"),
    ("regions, mask IoU", r"quality tflite int8 mask IoU"),
    ("accuracy retention", r"quality \w+ int8 accuracy retention"),
    ("INT8 fidelity", r"fidelity .*"),
)
"""Names of lines, and the limits that one stands for."""
SHORTER = (
    (", tflite int8,", ","),
    (r"^parity |^quality |^fidelity ", ""),
    ("arm64", "ARM64"),
    ("tflite", "TFLite"),
    ("onnx", "ONNX"),
    ("int8", "INT8"),
    ("fp32", "float"),
    ("mean_centred_cosine_min", "mean-centred cosine"),
    ("max_abs", "max abs"),
    ("self_retrieval", "self-retrieval"),
)


@dataclass(frozen=True)
class Row:
    """A line of verdicts: texts, and whether the limit holds; None where nothing was measured.

    Attributes:
        name, value, limit, how: as people read them.
        passed: the verdict.
        gated: whether it decides.
    """

    name: str
    value: str
    limit: str
    passed: bool | None
    how: str = ""
    gated: bool = True


def row_of(verdict: Verdict, name: str) -> Row:
    """Returns a limit's line."""
    shown = verdict_row(verdict)
    if isinstance(verdict.value, int) and verdict.limit >= 1e6 and not verdict.unit:
        shown["value"] = f"{verdict.value / 1e6:.2f} M"
        shown["limit"] = f"{verdict.relation} {verdict.limit / 1e6:.2f} M"
    value = "not measured" if verdict.value is None else shown["value"]
    return Row(name, value, shown["limit"], verdict.passed, verdict.how, verdict.gated)


def verdict_rows(verdicts: Sequence[Verdict]) -> list[Row]:
    """Returns at most MOST lines: of alike limits that hold the closest, and each that fails."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(_group(verdict.name), []).append(verdict)
    rows = []
    for name, members in groups.items():
        failed = [verdict for verdict in members if verdict.passed is False]
        rest = [verdict for verdict in members if verdict.passed is not False]
        rows += [row_of(verdict, _short(verdict.name) if len(members) > 1 else name) for verdict in failed]
        if rest:
            rows.append(_together(name, rest))
    return _cut(rows)


def _group(name: str) -> str:
    return next((group for group, pattern in GROUPS if re.fullmatch(pattern, name)), name)


def _short(name: str) -> str:
    for pattern, text in SHORTER:
        name = re.sub(pattern, text, name)
    return name


def _together(name: str, verdicts: Sequence[Verdict]) -> Row:
    """One line for limits that hold; those that are met exactly, such as all screens found, say the least."""
    if len(verdicts) == 1:
        return row_of(verdicts[0], name)
    closest = min(verdicts, key=lambda verdict: _margin(verdict) or float("inf"))
    row = row_of(closest, f"{name} ({len(verdicts)} limits)")
    if row.passed is None:
        return row
    return Row(row.name, row.value, row.limit, row.passed, f"closest: {_short(closest.name)}; {row.how}")


def _margin(verdict: Verdict) -> float:
    """How far a value is from its limit, as a share of the limit."""
    return 0.0 if verdict.value is None else abs(verdict.value - verdict.limit) / (abs(verdict.limit) or 1.0)


def _cut(rows: list[Row]) -> list[Row]:
    """Leaves lines out where there are too many, those that pass first, and counts them in the last one."""
    if len(rows) <= MOST:
        return rows
    order = sorted(range(len(rows)), key=lambda index: rows[index].passed is True)
    kept, left = sorted(order[: MOST - 1]), [rows[index] for index in order[MOST - 1 :]]
    held = all(row.passed is True for row in left)
    return [*(rows[index] for index in kept), Row(f"{len(left)} more in the report", "", "", held)]
