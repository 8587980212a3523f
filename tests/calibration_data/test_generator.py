"""The generator: seeded, even at any size, and with texts that fit their screens."""

import json
import random
import unicodedata

import pytest

from calibration_data import ROOT
from calibration_data.generator.content import build_specs
from calibration_data.generator.phrases import phrases, pool
from calibration_data.generator.plan import LANGUAGE_WEIGHTS, plan_screens
from calibration_data.generator.styles import STYLES, user_vector
from calibration_data.generator.typed_text import half_typed, half_typed_number, next_words, safe_cut

LANGUAGES = sorted(LANGUAGE_WEIGHTS)


@pytest.fixture(scope="module")
def specs():
    return build_specs(plan_screens())


def test_the_committed_list_is_what_the_generator_plans(specs):
    lines = (ROOT / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    committed = [json.loads(line) for line in lines]
    assert [sample["id"] for sample in committed] == [spec["id"] for spec in specs]
    for sample, spec in zip(committed, specs, strict=True):
        assert sample["text"] == spec["typed"]
        assert sample["user"] == spec["user"]


def test_same_seed_same_screens_other_seed_others(specs):
    assert build_specs(plan_screens()) == specs
    others = build_specs(plan_screens(seed=1), seed=1)
    assert sum(a["typed"] == b["typed"] and a["typed"] != "" for a, b in zip(specs, others, strict=True)) < 5


def test_any_number_of_screens_can_be_planned():
    screens = plan_screens({"train": 200, "test": 1})
    assert [screen.split for screen in screens] == ["train"] * 200 + ["test"]
    assert len({screen.id for screen in screens}) == 201


def test_what_is_typed_begins_the_target_where_no_style_changes_it(specs):
    plain = [spec for spec in specs if spec["typed"] and spec["kind"] not in ("chat", "feed")]
    assert len(plain) > 40
    for spec in plain:
        assert spec["target"].startswith(spec["typed"]), spec["id"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_have_the_same_labels_and_enough_documents_for_both_splits(language):
    words, english = phrases(language), phrases("en")
    assert words["language"] == language
    assert words["ui"].keys() == english["ui"].keys()
    assert words.keys() == english.keys()
    for key in (
        "chat",
        "drafts",
        "search",
        "search_numbers",
        "login",
        "settings",
        "devices",
        "feed",
        "notes",
    ):
        calibration, parity = pool(words[key], "calibration"), pool(words[key], "parity")
        assert calibration and parity
        assert not any(item in calibration for item in parity)
    assert len(words["shop"]) == len(english["shop"])
    assert all(len(words["numbers"][kind]) >= 3 for kind in ("chat", "mail", "feed", "notes"))


def test_an_unknown_language_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no phrases for language 'xx'.*ar, de, en"):
        phrases("xx")


def test_half_typed_never_tears_a_letter_from_its_marks():
    rng = random.Random(1)
    for text in ("क्या हम बातचीत बुधवार दोपहर को रख सकते हैं?", "family 👩‍👩‍👧‍👦 dinner", "Könnten wir"):
        for _ in range(200):
            rest = text[len(half_typed(text, rng)) :].lstrip()
            assert not rest or not unicodedata.category(rest[0]).startswith("M")
            assert not rest.startswith("\u200d")
    assert safe_cut("e\u0301t", 1) == 2


def test_half_typed_numbers_end_in_a_digit():
    rng = random.Random(2)
    assert all(half_typed_number("Meet at 18:30 on platform 4", rng)[-1].isdigit() for _ in range(50))


def test_the_keyboard_suggests_the_words_that_follow():
    assert next_words("see you", "see you at the station", "en") == ["you", "at", "the"]
    assert all(next_words("防水ジャケッ", "防水ジャケット", "ja"))


def test_style_vectors_are_reproducible_and_unknown_styles_refused():
    assert user_vector(STYLES[0], random.Random(3)) == user_vector(STYLES[0], random.Random(3))
    with pytest.raises(ValueError, match=r"unknown style .shouting.*terse"):
        user_vector("shouting", random.Random(3))
