"""How figures and verdicts are written, on the terminal and in the report alike."""

from __future__ import annotations

from evaluation.verdict import Verdict

VERDICTS = {True: "pass", False: "FAIL", None: "not measured"}


def verdict_row(verdict: Verdict) -> dict[str, str]:
    """Returns `name`, `limit`, `value`, `verdict` and `how` as people read them."""
    return {
        "name": verdict.name,
        "limit": f"{verdict.relation} {format_value(verdict.limit, verdict.unit)}",
        "value": format_value(verdict.value, verdict.unit),
        "verdict": VERDICTS[verdict.passed],
        "how": verdict.how,
    }


def format_value(value: float | None, unit: str) -> str:
    """Formats a value for people: bytes as MB, counts with separators, small figures with four digits."""
    if value is None:
        return "-"
    if unit == "bytes":
        return f"{value / 1e6:.2f} MB"
    if unit:
        return f"{value:.1f} {unit}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
