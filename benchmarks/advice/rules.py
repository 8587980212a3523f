"""From four answers and the measured ablation to a preset: what each still needs, and the best that fits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.ablation.results import HOW_TO_MAKE, Result
from benchmarks.ablation.rows import PRESET
from evaluation import budgets
from evaluation.terminal.format import verdict_row
from evaluation.verdict import Verdict
from runtime.errors import InputError
from runtime.provenance import Weights

SPEED, QUALITY, SIZE = PREFERENCES = ("speed", "quality", "size")
INTEGRATION_WEEKS = 1
"""To put a finished bundle into an app and try it."""
TRAINING_WEEKS = 2
"""More, where a preset has no trained weights: to train it on one's own screens, and again."""
SHRINKING_WEEKS = 3
"""More, where it misses a limit of parameters, latency or size: to prune and distil it. All are estimates."""


@dataclass(frozen=True)
class Answers:
    """What a team says of itself.

    Attributes:
        data: there are screens and texts to train on.
        device: the target phone is at hand to measure on.
        weeks: until it has to ship.
        prefer: one of PREFERENCES.
    """

    data: bool
    device: bool
    weeks: int
    prefer: str


@dataclass(frozen=True)
class Candidate:
    """A preset in the light of the answers.

    Attributes:
        name: of the preset.
        result: its row of the ablation; None where it was not measured.
        weeks: that it takes; None where it was not measured.
        work: what is to be done, a line each.
        obstacles: why it does not fit, a line each; it fits where there are none.
    """

    name: str
    result: Result | None
    weeks: int | None
    work: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types, the row's figures included."""
        figures = None if self.result is None else self.result.figures
        return {"name": self.name, "weeks": self.weeks, "work": list(self.work),
                "obstacles": list(self.obstacles), "figures": figures}  # fmt: skip


@dataclass(frozen=True)
class Advice:
    """The answer: `fits` is false where no preset does, and the nearest one is named."""

    preset: str
    fits: bool
    reason: str
    candidates: tuple[Candidate, ...]


def advise(answers: Answers, presets: Iterable[str], results: Sequence[Result]) -> Advice:
    """Picks a preset.

    Args:
        answers: the team's.
        presets: that there are.
        results: the ablation's.

    Raises:
        InputError: no preset has been measured.
    """
    rows = {result.name: result for result in results if result.kind == PRESET}
    candidates = tuple(_candidate(name, rows.get(name), answers) for name in presets)
    known = [candidate for candidate in candidates if candidate.weeks is not None]
    if not known:
        raise InputError(f"no preset has been measured, so there is nothing to advise by: {HOW_TO_MAKE}")
    fitting = [candidate for candidate in known if not candidate.obstacles]
    if fitting:
        best = min(fitting, key=lambda candidate: _rank(candidate, answers.prefer))
        reason = _reason(best, fitting, answers.prefer)
    else:
        best = min(known, key=lambda c: (len(c.obstacles), c.weeks, _rank(c, answers.prefer)))
        reason = f"no preset fits as asked; it is the nearest, but: {'; '.join(best.obstacles)}"
    return Advice(best.name, bool(fitting), reason, candidates)


def _candidate(name: str, result: Result | None, answers: Answers) -> Candidate:
    if result is None or result.m_instructions() is None:
        reason = (
            "was not measured" if result is None or not result.error else f"has no figures ({result.error})"
        )
        return Candidate(name, None, None, obstacles=(f"{reason}: {HOW_TO_MAKE}",))
    trained = not Weights.from_dict(result.figures["weights"]).random
    missed = [_said(budget) for budget in limits_of(result, answers.device) if budget.passed is False]
    work, obstacles = ["put the bundle into the app and try it"], []
    weeks = INTEGRATION_WEEKS
    if not trained:
        work.append("train it, its weights are random")
        weeks += TRAINING_WEEKS
        if not answers.data:
            obstacles.append("its weights are random, and there is no data to train it on")
    if missed:
        work.append(f"make it smaller: {', '.join(missed)}")
        weeks += SHRINKING_WEEKS
    if weeks > answers.weeks:
        obstacles.append(f"it takes about {weeks} weeks: {'; '.join(work)}")
    return Candidate(name, result, weeks, tuple(work), tuple(obstacles))


def limits_of(result: Result, device: bool) -> list[Verdict]:
    """Judges what only another encoder changes: parameters, the shipped file, and the latency on the target.

    Without a phone to measure on, the latency has to hold at the slowest of the published rates too.
    """
    path, target = result.phone("encode"), result.figures["target"]
    ms = path["ms"] if device else path["ms_range"][1]
    parameters = result.figures["parameters"]["total"]
    return [
        *budgets.size_budgets(parameters, result.figures["file_bytes"]),
        budgets.latency_budget(ms, target if device else f"{target}, slowest published rate"),
    ]


def _said(budget: Verdict) -> str:
    row = verdict_row(budget)
    return f"{row['name']} {row['value']}, limit {row['limit']}"


def _rank(candidate: Candidate, prefer: str) -> tuple[float, float]:
    """The less the better; where quality decides, what has no figure of it comes last."""
    m_instructions = candidate.result.m_instructions()
    if prefer == SIZE:
        return candidate.result.figures["file_bytes"], m_instructions
    if prefer == QUALITY:
        quality = candidate.result.quality()
        return (1.0 if quality is None else -quality), m_instructions
    return m_instructions, candidate.result.figures["file_bytes"]


def _reason(best: Candidate, fitting: Sequence[Candidate], prefer: str) -> str:
    result = best.result
    said = {
        SPEED: f"the fewest instructions, {result.m_instructions():.1f} M for a whole encode",
        SIZE: f"the smallest encoder.tflite, {result.figures['file_bytes'] / 1e6:.2f} MB",
        QUALITY: "the best quality",
    }[prefer]
    if prefer == QUALITY:
        value = result.quality()
        found = "none of them has trained weights, so the fastest" if value is None else None
        said = found or f"{said}, the right text first among 200 on {100 * value:.1f} % of the test split"
    if len(fitting) == 1:
        return f"the only preset that fits; {said}"
    return f"of the {len(fitting)} presets that fit, {said}"
