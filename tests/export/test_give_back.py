"""A recipe is found: the cheapest layers that repair most get more precision, and no more than are needed."""

import numpy as np
import pytest

from export.quantize.recipe import Rule
from export.quantize.search.give_back import LEAST, Candidate, Measured, give_back, split
from runtime.bundle import SIGNATURES


def unit(name: str, multiply_adds: int = 1_000_000, signature: str = "vision") -> Candidate:
    return Candidate(signature, name, "float", 1, multiply_adds, (Rule(name, ("CONV_2D",), "float"),))


class Made:
    """Stands for the files: each unit in integers takes its noise off a cosine of 1."""

    def __init__(self, noise: dict[str, float], file_bytes: dict[str, int] | None = None):
        self.noise, self.bytes, self.asked = noise, file_bytes or {}, []

    def __call__(self, units):
        self.asked.append(units)
        names = {unit.name for unit in units}
        lost = sum(noise for name, noise in self.noise.items() if name not in names)
        size = 4_000_000 + sum(self.bytes.get(name, 0) for name in names)
        return Measured(1 - 2 * lost, 1 - lost, size)


def names(found) -> list[str]:
    return [unit.name for unit in found.chosen]


def test_a_good_recipe_stays_as_it_is():
    made = Made({"a": 0.001})
    found = give_back([unit("a")], made)
    assert names(found) == [] and found.trials == 1 == len(made.asked)
    assert found.before == found.after


def test_the_unit_that_repairs_most_for_its_cost_is_given_back():
    made = Made({"noisy": 0.03, "dear": 0.03, "quiet": 0.0001})
    found = give_back([unit("dear", 50_000_000), unit("noisy"), unit("quiet")], made, least=0.93)
    assert names(found) == ["noisy"] and found.layers == 3
    assert found.before.cosine_min == pytest.approx(0.8798) and found.after.cosine_min >= 0.93


def test_bytes_are_a_cost_too():
    made = Made({"heavy": 0.03, "light": 0.025}, {"heavy": 8_000_000})
    found = give_back([unit("heavy"), unit("light")], made, least=0.93)
    assert names(found) == ["light"]


def test_what_the_others_do_without_is_taken_back():
    """The cheap one came first and is not enough; the large one that followed is enough alone."""
    made = Made({"cheap": 0.004, "large": 0.03})
    found = give_back([unit("cheap", 1_000), unit("large", 9_000_000)], made, least=0.99)
    assert names(found) == ["large"]


def test_where_nothing_is_enough_the_best_that_was_tried_stays():
    made = Made({"a": 0.01, "b": 0.02, "elsewhere": 0.2})
    found = give_back([unit("a"), unit("b")], made)
    assert set(names(found)) == {"a", "b"} and found.after.cosine_min < LEAST


def test_one_lucky_worst_screen_is_not_enough():
    assert Measured(0.97, 0.975, 0).fidelity == pytest.approx(0.95)
    assert Measured(0.97, 0.990, 0).fidelity == 0.97


def test_units_of_a_signature_that_adds_little_noise_are_not_tried():
    made = Made({"noisy": 0.03, "small": 0.01, "word": 0.001, "letter": 0.001})
    text = [unit("word", signature="text"), unit("letter", signature="text")]
    found = give_back([*text, unit("noisy"), unit("small")], made, least=0.93)
    assert names(found) == ["noisy"]
    alone = {units[0].name for units in made.asked if len(units) == 1}
    assert alone == {"noisy", "small"}


def test_it_asks_for_nothing_twice():
    made = Made({f"unit {index}": 0.01 for index in range(8)})
    give_back([unit(name) for name in made.noise], made)
    assert len(made.asked) == len(set(made.asked))


def test_no_sample_both_sets_a_range_and_judges():
    count = 10
    arrays = {
        name: np.arange(count)[:, None]
        for part in SIGNATURES.values()
        for name in (*part.inputs, *part.outputs)
    }
    samples, judging = split(arrays)
    setting = {int(sample["image"][0, 0]) for sample in samples["vision"]}
    assert setting == {0, 1, 3, 4, 6, 7, 9} and set(judging["image"][:, 0]) == {2, 5, 8}
    assert samples["text"][0].keys() == set(SIGNATURES["text"].inputs)
