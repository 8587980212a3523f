"""The search: each group's sensitivity to precision, then recipes along the Pareto front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from export.quantize.recipe import Rule, TfliteRecipe
from export.quantize.search.groups import Group
from export.quantize.search.trial import Trial, Trials

STEPS = 10
"""Groups that the Pareto front gives more precision at most, one after the other."""
LEAST_GAIN = 0.0005
"""Of mean mean-centred cosine: a group that gives less back for more precision stays as it is."""
LEAST_COST = 0.01
"""Million instructions below which a group in float counts as free."""
STARTS = {
    "float": (),
    "dynamic": (Rule(".*", ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"), "dynamic_int8"),),
}
"""Recipes that win on cores without dot products, tried beside the given one."""

OnTrial = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Sensitivity:
    """What a group would give and cost in another precision: differences to the recipe as it is.

    Attributes:
        group: which.
        precision: the other one, `float` or `dynamic_int8`.
        gain: mean mean-centred cosine won.
        m_instructions: million instructions more.
        file_bytes: bytes more.
    """

    group: Group
    precision: str
    gain: float
    m_instructions: float
    file_bytes: int

    @property
    def name(self) -> str:
        """The group's name, and its precision where that is not float."""
        return self.group.name if self.precision == "float" else f"{self.group.name} {self.precision}"


@dataclass(frozen=True)
class Point:
    """A recipe of the Pareto front: what it computes more precisely than the given one, and its gain."""

    name: str
    changed: tuple[str, ...]
    trial: Trial


@dataclass(frozen=True)
class Search:
    """All that a search found.

    Attributes:
        profile: name of the emulated phone.
        limits: `cosine_min` and `file_bytes` that the chosen recipe keeps.
        sensitivities: every group, the largest gain first.
        points: the given recipe, the other starts, and the Pareto front.
        chosen: name of the cheapest point within the limits; None where none is.
        recipe: the chosen point's recipe.
    """

    profile: str
    limits: dict[str, float]
    sensitivities: tuple[Sensitivity, ...]
    points: tuple[Point, ...]
    chosen: str | None
    recipe: TfliteRecipe | None

    def to_dict(self) -> dict[str, Any]:
        """Returns the search as JSON types, without the names of single layers."""
        rows = [
            {"signature": row.group.signature, "group": row.name, "gain": row.gain,
             "m_instructions": row.m_instructions, "file_bytes": row.file_bytes}
            for row in self.sensitivities
        ]  # fmt: skip
        points = [{"name": p.name, "changed": list(p.changed), **asdict(p.trial)} for p in self.points]
        return {
            "profile": self.profile, "limits": self.limits, "sensitivities": rows, "points": points,
            "chosen": self.chosen,
        }  # fmt: skip


def search(
    recipe: TfliteRecipe,
    groups: list[Group],
    trials: Trials,
    limits: dict[str, float],
    on_trial: OnTrial = lambda done, total, what: None,
) -> Search:
    """Searches from a recipe that computes as much as it can in integers.

    Args:
        recipe: where to start.
        groups: its integer groups.
        trials: measures.
        limits: `cosine_min` at least and `file_bytes` at most.
        on_trial: called with trials done, trials in all (at most), and what is tried.

    Raises:
        Arm64Error: a file does not run on the phone.
    """
    total, done = 1 + len(STARTS) + len(groups) + 2 * STEPS, 0

    def measure(rules: tuple[Rule, ...], what: str) -> Trial:
        nonlocal done
        on_trial(done, total, what)
        done += 1
        return trials.measure(replace(recipe, rules=rules))

    packed = tuple(rule for rule in recipe.rules if rule.precision.startswith("packed"))
    points = [Point("given", (), measure(recipe.rules, "the given recipe"))]
    points += [Point(name, (), measure((*rules, *packed), name)) for name, rules in STARTS.items()]
    base = points[0].trial

    def sensitivity(group: Group, precision: str) -> Sensitivity:
        rules = (*recipe.rules, group.rule(precision))
        trial = measure(rules, f"{group.signature} {group.name} in {precision}")
        more = round(trial.encode_m_instructions - base.encode_m_instructions, 4)
        gain = round(base.noise - trial.noise, 5)
        return Sensitivity(group, precision, gain, more, trial.file_bytes - base.file_bytes)

    found = [sensitivity(group, "float") for group in groups]
    for row in most_sensitive(found)[:STEPS]:  # what float does not help, less does not either
        found += [
            sensitivity(row.group, precision) for precision in row.group.precisions if precision != "float"
        ]
    chosen: list[Sensitivity] = []
    for row in most_sensitive(found)[:STEPS]:
        chosen.append(row)
        rules = (*recipe.rules, *(row.group.rule(row.precision) for row in chosen))
        names = tuple(row.name for row in chosen)
        points.append(Point(f"+{row.name}", names, measure(rules, f"{len(chosen)} groups")))
    on_trial(total, total, "done")
    winner = cheapest(points, limits)
    found.sort(key=lambda row: -row.gain)
    return Search(
        trials.profile.name, limits, tuple(found), tuple(points), winner and winner.name,
        None if winner is None else _recipe_of(winner, recipe, packed, chosen),
    )  # fmt: skip


def most_sensitive(rows: list[Sensitivity]) -> list[Sensitivity]:
    """The groups that gain by more precision, most accuracy an instruction first; each once, at its best."""
    gaining = [row for row in rows if row.gain >= LEAST_GAIN]
    gaining.sort(key=lambda row: -row.gain / max(row.m_instructions, LEAST_COST))
    best: dict[tuple[str, str], Sensitivity] = {}
    for row in gaining:
        best.setdefault((row.group.signature, row.group.name), row)
    return list(best.values())


def cheapest(points: list[Point], limits: dict[str, float]) -> Point | None:
    """The point with the fewest instructions within the limits; None where there is none."""
    within = [
        point
        for point in points
        if point.trial.cosine_min >= limits["cosine_min"] and point.trial.file_bytes <= limits["file_bytes"]
    ]
    return min(within, key=lambda point: point.trial.encode_m_instructions, default=None)


def _recipe_of(
    point: Point, recipe: TfliteRecipe, packed: tuple[Rule, ...], chosen: list[Sensitivity]
) -> TfliteRecipe:
    if point.name in STARTS:
        return replace(recipe, rules=(*STARTS[point.name], *packed))
    changed = tuple(row.group.rule(row.precision) for row in chosen[: len(point.changed)])
    return replace(recipe, rules=(*recipe.rules, *changed))
