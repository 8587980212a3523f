"""Who competes with the right target: always 200, never the same thing twice, never another right answer."""

from dataclasses import replace
from pathlib import Path

import pytest

from calibration_data.samples import Sample
from evaluation.quality.candidates import CANDIDATES, SIBLINGS, candidate_sets, fold
from runtime.errors import InputError


def typed(number: int, split: str = "test") -> Sample:
    base = f"{split} text number {number}"
    siblings = tuple(f"{base} {ending}" for ending in ("please", "lol", "ok", "!!", "thanks"))
    return Sample(id=f"{split}-{number}", split=split, image=Path("x"), text="text", target=f"{base} bye",
                  target_group=base, siblings=siblings)  # fmt: skip


def action(number: int) -> Sample:
    """One of four actions, in one of ten paraphrases."""
    return Sample(id=f"action-{number}", split="test", image=Path("x"), text="",
                  target=f"action {number % 4}, said so: {number // 4 % 10}", target_group=f"action {number % 4}")  # fmt: skip


SAMPLES = [*map(typed, range(230)), *map(action, range(40)), *(typed(n, "unseen_kit") for n in range(60))]
GROUPS = {sample.target: sample.target_group for sample in SAMPLES}


@pytest.fixture(scope="module")
def sets() -> list[tuple[str, ...]]:
    return candidate_sets(SAMPLES)


def test_each_has_200_different_ones_and_the_right_one_first(sets):
    for sample, texts in zip(SAMPLES, sets, strict=True):
        assert len(texts) == CANDIDATES == len(set(map(fold, texts)))
        assert texts[0] == sample.target


def test_no_wrong_one_is_right_too(sets):
    for sample, texts in zip(SAMPLES, sets, strict=True):
        assert sample.target_group not in [GROUPS.get(text) for text in texts[1:]]


def test_hard_negatives_are_among_them_and_the_rest_is_of_the_same_split_where_it_can_be(sets):
    for sample, texts in zip(SAMPLES, sets, strict=True):
        siblings = [text for text in texts if text in sample.siblings]
        assert len(siblings) == (SIBLINGS if sample.siblings else 0)
        if sample.split == "test":
            assert not any(text.startswith("unseen_kit") for text in texts)
        else:
            assert {f"unseen_kit text number {n} bye" for n in range(60)} <= set(texts)


def test_hard_negatives_are_chosen_by_lot(sets):
    endings = [text.rsplit(" ", 1)[1] for texts in sets[:230] for text in texts[1 : 1 + SIBLINGS]]
    assert all(endings.count(ending) > 60 for ending in ("please", "lol", "ok", "!!", "thanks"))


def test_the_choice_depends_on_nothing_but_the_samples(sets):
    assert candidate_sets(SAMPLES) == sets
    backwards = candidate_sets(SAMPLES[::-1])
    assert backwards[::-1] == sets
    assert sets[0][4:] != sets[1][4:]


def test_what_the_tokenizer_cannot_tell_apart_is_one_text():
    assert fold("Café  au lait") == fold("cafe au LAIT") != fold("cafe au lait!")
    loud = [replace(sample, siblings=(sample.target.upper(), *sample.siblings)) for sample in SAMPLES]
    assert not any(texts[0].upper() in texts for texts in candidate_sets(loud))


def test_too_few_targets_are_refused():
    with pytest.raises(
        InputError, match=r"sample 'test-0': only 23 different candidates in the test split, 200"
    ):
        candidate_sets([typed(number) for number in range(20)])
