"""Committed instruction counts that the shipped model may not exceed: a gate for noisy machines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from evaluation.arm64.errors import Arm64Error
from evaluation.arm64.report import PATHS, Arm64Report
from runtime.files import write_atomically

BASELINE_FILE = Path(__file__).with_name("baseline.json")
TOLERANCE = 0.02

Baseline = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Comparison:
    """A signature's count on a profile against the committed one (None where none is committed)."""

    profile: str
    signature: str
    committed_m_instructions: float | None
    m_instructions: float

    @property
    def passed(self) -> bool:
        """Whether the count is within the tolerance; a count without a baseline is not judged."""
        return (
            self.committed_m_instructions is None
            or self.m_instructions <= self.committed_m_instructions * (1 + TOLERANCE)
        )


def load(path: Path = BASELINE_FILE) -> Baseline:
    """Reads committed counts: preset -> profile -> signature -> million instructions.

    Raises:
        Arm64Error: The file is not such JSON.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            preset: {
                profile: {signature: float(count) for signature, count in counts.items()}
                for profile, counts in profiles.items()
            }
            for preset, profiles in found["m_instructions"].items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Arm64Error(f"{path}: not a baseline: {error}; write it anew with `baseline --raise`") from error


def compare(report: Arm64Report, baseline: Baseline) -> list[Comparison]:
    """Compares the shipped model's signatures on the report's target with the committed counts.

    Raises:
        Arm64Error: A signature did not run.
    """
    profile = report.target.name
    committed = baseline.get(report.preset, {}).get(profile, {})
    found = []
    for signature in PATHS["encode"]:
        count = report.m_instructions(signature, profile)
        if count is None:
            raise Arm64Error(f"{signature} of the shipped model did not run on {profile}: there is no count")
        found.append(Comparison(profile, signature, committed.get(signature), count))
    return found


def update(report: Arm64Report, path: Path = BASELINE_FILE, *, allow_raise: bool = False) -> list[Comparison]:
    """Writes lower counts, and those of a preset that has none yet.

    Args:
        allow_raise: Write higher counts too.

    Returns:
        What the counts were before.

    Raises:
        Arm64Error: As `load` and `compare`; or a count is over the tolerance, without `allow_raise`.
    """
    baseline = {} if allow_raise and not _is_readable(path) else load(path)
    found = compare(report, baseline)
    higher = [entry for entry in found if not entry.passed]
    if higher and not allow_raise:
        changes = ", ".join(
            f"{e.signature} {e.committed_m_instructions:g} -> {e.m_instructions:g} M" for e in higher
        )
        raise Arm64Error(f"the baseline only goes down: {changes}; say --raise if that is meant")
    counts = baseline.setdefault(report.preset, {}).setdefault(report.target.name, {})
    for entry in found:
        if (
            allow_raise
            or entry.committed_m_instructions is None
            or entry.m_instructions < entry.committed_m_instructions
        ):
            counts[entry.signature] = entry.m_instructions
    text = json.dumps({"tolerance": TOLERANCE, "m_instructions": baseline}, indent=2, sort_keys=True) + "\n"
    write_atomically(path, text.encode())
    return found


def _is_readable(path: Path) -> bool:
    try:
        load(path)
    except Arm64Error:
        return False
    return True
