"""What a measurement found: counts, simulated milliseconds, operators, parity, and the verdicts on them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evaluation.verdict import Verdict

if TYPE_CHECKING:
    from evaluation.arm64.emulator import Failure
    from evaluation.arm64.profiles import Profile

SHIPPED = ("tflite", "int8")
PATHS = {
    "encode": ("vision", "text", "fuse"), "keystroke": ("text", "fuse"),
    "keystroke_32": ("text_32", "fuse"), "keystroke_16": ("text_16", "fuse"),
    "rank_200": (*["text_8"] * 200, "text_16", "fuse"),
}  # fmt: skip
"""What an app runs when screen and text changed, and when only the text did: as many tokens as the encoder
takes, 32 or 16. Three words, with start and end, are a candidate of eight tokens at most."""


@dataclass(frozen=True)
class SignatureCost:
    """Instructions of one inference of one signature.

    Attributes:
        engine, precision, file, signature: what ran.
        m_instructions: profile name -> million instructions, to 4 significant digits.
        spread: the largest relative difference of two independent counts.
    """

    engine: str
    precision: str
    file: str
    signature: str
    m_instructions: dict[str, float]
    spread: float


@dataclass(frozen=True)
class OperatorCost:
    """All runs of one operator kind in one signature of the shipped model.

    Attributes:
        signature, operator: the operator's name is the engine's own, with its number types and kernel.
        runner: "xnnpack", or "litert" where LiteRT's built-in kernel ran it.
        times: how often it runs in an inference.
        m_instructions: million instructions of all of them.
        share: of the signature's instructions.
    """

    signature: str
    operator: str
    runner: str
    times: int
    m_instructions: float
    share: float


@dataclass(frozen=True)
class ParityRow:
    """One signature's outputs on the emulated core against `pytorch` or against the `host`'s own engine.

    `composed` is fuse on the tokens that this engine computed itself.
    """

    engine: str
    precision: str
    profile: str
    signature: str
    against: str
    samples: int
    max_abs: float
    cosine_min: float
    mean_centred_cosine_min: float
    self_retrieval: float
    checks: tuple[dict[str, Any], ...]
    passed: bool


@dataclass(frozen=True)
class Arm64Report:
    """Everything that one measurement of a bundle found.

    Attributes:
        preset: the bundle's.
        profiles: those measured; the first one is the target, whose latency decides.
        latency_limit_ms: the bundle's own limit for an encode.
        versions: of the emulator and the engines in it.
        costs, operators, parity, failures: see their classes; operators are those of the target.
    """

    preset: str
    profiles: tuple[Profile, ...]
    latency_limit_ms: float
    versions: dict[str, str]
    costs: tuple[SignatureCost, ...]
    operators: tuple[OperatorCost, ...]
    parity: tuple[ParityRow, ...]
    failures: tuple[Failure, ...]

    @property
    def target(self) -> Profile:
        """The profile whose latency decides."""
        return self.profiles[0]

    def m_instructions(
        self, path: str, profile: str, engine: str = SHIPPED[0], precision: str = SHIPPED[1]
    ) -> float | None:
        """Returns the million instructions of a path or a signature; None where a part of it did not run."""
        parts = {
            cost.signature: cost.m_instructions
            for cost in self.costs
            if (cost.engine, cost.precision) == (engine, precision)
        }
        counts = [parts.get(signature, {}).get(profile) for signature in PATHS.get(path, (path,))]
        return None if None in counts else significant(sum(counts))

    @property
    def simulated_ms(self) -> float | None:
        """Simulated ms of the shipped model's whole encode on the target; None where it did not run."""
        count = self.m_instructions("encode", self.target.name)
        return None if count is None else round(self.target.milliseconds(count), 2)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The latency on every profile, and the worst value of each parity check on every profile."""
        return (*self._latency_verdicts(), *self._parity_verdicts())

    @property
    def passed(self) -> bool:
        """Whether all files ran, and the target's latency and every phone's parity hold."""
        judged = any(verdict.gated and verdict.unit == "ms" for verdict in self.verdicts)
        return judged and not self.failures and all(v.passed for v in self.verdicts if v.gated)

    def _latency_verdicts(self) -> list[Verdict]:
        found = []
        for profile in self.profiles:
            count = self.m_instructions("encode", profile.name)
            if count is not None:
                ms = round(profile.milliseconds(count), 2)
                limit, gated = self.latency_limit_ms, profile == self.target
                found.append(
                    Verdict("latency of encode", limit, "<", ms, "ms", gated=gated, profile=profile.name)
                )
        return found

    def _parity_verdicts(self) -> list[Verdict]:
        worst: dict[tuple[str, ...], Verdict] = {}
        for row in self.parity:
            for check in row.checks:
                at_most = check["metric"] == "max_abs"
                name = f"parity with {row.against}, {row.engine} {row.precision}, {check['metric']}"
                relation = "<=" if at_most else ">="
                verdict = Verdict(name, check["limit"], relation, check["value"], profile=row.profile)
                before = worst.get((name, row.profile))
                if before is None or (before.value < verdict.value) == at_most:
                    worst[name, row.profile] = verdict
        return list(worst.values())

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as JSON types, verdicts and simulated milliseconds included."""
        return {
            "preset": self.preset,
            "target": self.target.name,
            "latency_limit_ms": self.latency_limit_ms,
            "simulated_ms": self.simulated_ms,
            "passed": self.passed,
            "versions": self.versions,
            "profiles": [profile.to_dict() for profile in self.profiles],
            "costs": [self._cost_dict(cost) for cost in self.costs],
            "paths": [self._path_dict(path, profile) for path in PATHS for profile in self.profiles],
            "operators": [vars(operator) for operator in self.operators],
            "parity": [vars(row) | {"checks": list(row.checks)} for row in self.parity],
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
            "failures": [failure.to_dict() for failure in self.failures],
        }

    def _cost_dict(self, cost: SignatureCost) -> dict[str, Any]:
        rates = {profile.name: profile for profile in self.profiles}
        ms = {name: round(rates[name].milliseconds(count), 2) for name, count in cost.m_instructions.items()}
        fields = {
            key: value for key, value in vars(cost).items() if key != "spread"
        }  # noise: not for a manifest
        return fields | {"ms": ms}

    def _path_dict(self, path: str, profile: Profile) -> dict[str, Any]:
        count = self.m_instructions(path, profile.name)
        known = count is not None
        span = [round(ms, 2) for ms in profile.milliseconds_range(count)] if known else None
        ms = round(profile.milliseconds(count), 2) if known else None
        return {"path": path, "profile": profile.name, "m_instructions": count, "ms": ms, "ms_range": span}


def significant(value: float, digits: int = 4) -> float:
    """Rounds to significant digits: counts repeat far better than this, so reports repeat to the byte."""
    return 0.0 if value == 0 else round(value, digits - 1 - math.floor(math.log10(abs(value))))


def sum_operators(signature: str, events: Iterable[tuple[str, str, int]]) -> list[OperatorCost]:
    """Adds up operator runs by kind, the most expensive first."""
    kinds: dict[tuple[str, str], list[int]] = {}
    for operator, runner, insns in events:
        kinds.setdefault((_readable(operator), runner), []).append(insns)
    total = sum(map(sum, kinds.values()))
    costs = [
        OperatorCost(
            signature, operator, runner, len(runs), significant(sum(runs) / 1e6), round(sum(runs) / total, 4)
        )
        for (operator, runner), runs in kinds.items()
    ]
    return sorted(costs, key=lambda cost: (-cost.m_instructions, cost.operator))


def _readable(operator: str) -> str:
    """XNNPACK calls its table lookups (an INT8 sigmoid, for one) by a placeholder."""
    return "Unary by table (NC, X8)" if operator == "Invalid Unary Op" else operator


def worst_spread(costs: Iterable[SignatureCost]) -> float:
    """Returns the largest relative difference of two counts of the same thing."""
    return max((cost.spread for cost in costs), default=0.0)


def group_counts(counts: Mapping[str, list[float]]) -> tuple[dict[str, float], float]:
    """Reduces {profile: counts} to {profile: million instructions} and the largest relative difference."""
    m_instructions = {profile: significant(min(found) / 1e6) for profile, found in counts.items()}
    spread = max((max(found) / min(found) - 1 for found in counts.values()), default=0.0)
    return m_instructions, spread
