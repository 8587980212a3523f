"""Gives back precision, for an encoder that has no recipe of its own: the cheapest layers that repair most.

Every unit of layers that is computed in integers is tried with more precision, on screens that set no range;
of a signature that adds little of the noise, none. Those that repair most for what they cost are given back,
one after the other, until the screens are within the limit and a margin; then those that turn out not to be
needed are taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from evaluation.budgets import PARITY_COSINE
from runtime.bundle import PARTS, SIGNATURES

JUDGED_EVERY = 3
"""Every third calibration screen judges; the others set the ranges. The parity screens are not looked at."""
LEAST = PARITY_COSINE + 0.01
"""Fidelity on the judged screens: other screens and a phone's arithmetic take some of it."""
SIGNATURE_SHARE = 0.1
"""Of what the noisiest signature loses: units of one that loses less come last, and are not tried alone."""
LEAST_COST = 1e-3
"""Share of an encoder's work below which a unit counts as free."""
TRIED, TAKEN_BACK = 60, 20
"""Units that are tried alone, and to be taken back, at most: those with the most multiply-adds."""


@dataclass(frozen=True)
class Candidate:
    """A unit of layers, and what it would be computed in.

    Attributes:
        signature: that it belongs to.
        name: of the unit.
        precision: the other one.
        layers: how many of them.
        multiply_adds: of an inference, in all its layers.
        change: what the recipe needs for it: rules of the .tflite, expressions of ONNX.
    """

    signature: str
    name: str
    precision: str
    layers: int
    multiply_adds: int
    change: tuple[Any, ...]


@dataclass(frozen=True)
class Measured:
    """Fidelity on the judged screens, and the bytes of the files.

    Attributes:
        cosine_min, cosine_mean: mean-centred cosine with the float embeddings.
        file_bytes: of all files that were made.
    """

    cosine_min: float
    cosine_mean: float
    file_bytes: int

    @property
    def fidelity(self) -> float:
        """The worst screen's cosine; as two dozen may all be lucky, no more than twice the mean's loss."""
        return min(self.cosine_min, 2 * self.cosine_mean - 1)


@dataclass(frozen=True)
class GivenBack:
    """What a search ended with.

    Attributes:
        chosen: the units that get more precision.
        gains: mean cosine that each of them won alone; None for one that was not tried alone.
        before, after: as the recipe was, and as it is.
        trials: how many files were made and measured.
        layers: that the recipe computes in integers, or packs.
    """

    chosen: tuple[Candidate, ...]
    gains: tuple[float | None, ...]
    before: Measured
    after: Measured
    trials: int
    layers: int

    def to_dict(self) -> dict[str, Any]:
        """Returns it as JSON types, without what the recipe needs for it."""
        units = [
            asdict(replace(unit, change=())) | {"gain": gain}
            for unit, gain in zip(self.chosen, self.gains, strict=True)
        ]
        return {
            "units": units,
            "before": asdict(self.before),
            "after": asdict(self.after),
            "trials": self.trials,
            "layers": self.layers,
            "least": LEAST,
        }


Measure = Callable[[tuple[Candidate, ...]], Measured]


def split(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, list[dict]], dict[str, np.ndarray]]:
    """Splits calibration samples into those that set ranges and those that judge.

    Args:
        arrays: inputs and outputs of N samples by tensor name, [N, ...].

    Returns:
        Inputs by signature, a list of dicts of batch 1, and the judging samples' arrays, [N / 3, ...].
    """
    count = len(arrays["image"])
    judges = np.arange(count) % JUDGED_EVERY == JUDGED_EVERY - 1
    samples = {
        part: [
            {name: arrays[name][row : row + 1] for name in SIGNATURES[part].inputs}
            for row in np.flatnonzero(~judges)
        ]
        for part in PARTS
    }
    return samples, {name: values[judges] for name, values in arrays.items()}


def give_back(candidates: Sequence[Candidate], measure: Measure, least: float = LEAST) -> GivenBack:
    """Searches; deterministic, and it looks at no clock.

    Args:
        candidates: in the model's order.
        measure: makes the files with some candidates and measures them.
        least: fidelity that is enough.

    Returns:
        What was chosen: nothing where the recipe is good as it is, the best of what was tried where nothing
        is enough.
    """
    known: dict[tuple[Candidate, ...], Measured] = {}

    def look(units: Sequence[Candidate]) -> Measured:
        key = tuple(unit for unit in candidates if unit in units)
        if key not in known:
            known[key] = measure(key)
        return known[key]

    before = look(())
    chosen: list[Candidate] = []
    if before.fidelity < least:
        ranked, count = _ranked(candidates, look, before), 0
        while look(chosen).fidelity < least and count < len(ranked):
            count = max(count + 1, count * 4 // 3)
            chosen = ranked[:count]
        if look(chosen).fidelity >= least:
            chosen = _needed(chosen, look, least)
        else:
            chosen = list(max(known, key=lambda units: known[units].fidelity))
    alone = [known.get((unit,)) for unit in chosen]
    gains = tuple(one and round(one.cosine_mean - before.cosine_mean, 5) for one in alone)
    layers = sum(unit.layers for unit in candidates)
    return GivenBack(tuple(chosen), gains, before, look(chosen), len(known), layers)


def _ranked(candidates: Sequence[Candidate], look: Callable, before: Measured) -> list[Candidate]:
    """Candidates, those first that repair most for their share of multiply-adds and bytes."""
    work = sum(unit.multiply_adds for unit in candidates) or 1
    noisy = _noisy_signatures(candidates, look)
    first = [unit for unit in candidates if unit.signature in noisy]
    worth = dict.fromkeys(first, 0.0)
    for unit in sorted(first, key=lambda unit: -unit.multiply_adds)[:TRIED]:
        with_it = look([unit])
        gain = with_it.cosine_mean - before.cosine_mean
        more = max(with_it.file_bytes - before.file_bytes, 0) / before.file_bytes
        worth[unit] = gain / (unit.multiply_adds / work + more + LEAST_COST)
    rest = [unit for unit in candidates if unit.signature not in noisy]
    return sorted(worth, key=lambda unit: -worth[unit]) + rest


def _noisy_signatures(candidates: Sequence[Candidate], look: Callable) -> set[str]:
    """Those that lose a share worth naming of what is lost, each with the others as exact as can be."""
    loss = {}
    for name in {unit.signature: None for unit in candidates}:
        others = [unit for unit in candidates if unit.signature != name]
        loss[name] = 1 - look(others).cosine_mean
    return {name for name in loss if loss[name] >= SIGNATURE_SHARE * max(loss.values())}


def _needed(chosen: list[Candidate], look: Callable, least: float) -> list[Candidate]:
    """Leaves out, the dearest first, what the others do without."""
    for unit in sorted(chosen, key=lambda unit: -unit.multiply_adds)[:TAKEN_BACK]:
        rest = [other for other in chosen if other is not unit]
        if look(rest).fidelity >= least:
            chosen = rest
    return chosen
