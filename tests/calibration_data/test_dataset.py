"""The training set's plan: splits that share nothing, styles that end texts, views that are all drawn."""

import json
import random
import re
import unicodedata
from collections import defaultdict
from itertools import combinations, product

import numpy as np
import pytest

from calibration_data import CalibrationDataError
from calibration_data.generator.corpora import _version
from calibration_data.generator.dataset import dataset_specs
from calibration_data.generator.plan import KINDS, KITS, LANGUAGE_WEIGHTS
from calibration_data.generator.situations import VIEWS, action, caption, kind_captions, views_with
from calibration_data.generator.splits import templates
from calibration_data.generator.styles import STYLES, user_vector_of
from calibration_data.generator.writing import cut, endings, finish, smileys

COUNTS = {"train": 480, "validation": 80, "test": 240, "unseen_kit": 80}
UNSEEN = ("test", "unseen_kit")
WORDED = ("train", "validation", "test")
ALL_VIEWS = {f"{kind}/{view}" for kind, views in VIEWS.items() for view in views}
# Words of the stand-in corpora: English sentences that differ from split to split.
WORDS = {
    "train": (
        "Anton Berta Clara Doris Emil Franz Gustl Hanna Irene Jakob",
        "packs sells paints counts mends wraps boils spoils",
        "lantern kettle violin basket bucket pillow helmet carpet",
    ),
    "test": (
        "Karin Ludwig Maria Norbert Olaf Paula Quirin Ralph Sigrid Tamara",
        "drops finds draws hides lends shakes guards burns",
        "marble ladder curtain button ribbon saddle candle barrel",
    ),
}
PLACES = ("in the attic", "behind our house", "near the old mill", "before he comes back", "for you and me")


def _rows(split):
    names, verbs, things = (words.split() for words in WORDS[split])
    for number, (name, verb, thing, place) in enumerate(product(names, verbs, things, PLACES)):
        yield {
            "text": f"{name} {verb} my {thing} {place}",
            "language": "en",
            "source": f"{split}/{number % 3}",
        }
        yield {"text": f"{thing} {verb} {name} {place}", "language": "en", "source": f"{split}/phrases"}
        for language in LANGUAGE_WEIGHTS.keys() - {"en", "ja", "zh", "hi", "ar", "ru"}:
            text = f"{language}{name} {verb}o la {thing} {place}"
            yield {"text": text, "language": language, "source": f"{split}/{language}"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    for split in ("train", "test"):
        lines = [json.dumps(row) + "\n" for row in _rows(split)]
        (folder / f"texts-{split}-{_version()}.jsonl").write_text("".join(lines), encoding="utf-8")
        turns = [[f"Who is {name} {split}?", f"my friend {name} {split}"] for name in WORDS[split][0].split()]
        talks = [{"turns": pair, "language": "en", "source": f"{split}/talk"} for pair in turns]
        (folder / f"dialogues-{split}-{_version()}.jsonl").write_text(
            "".join(json.dumps(talk) + "\n" for talk in talks), encoding="utf-8"
        )
    return folder


@pytest.fixture(scope="module")
def specs(cache):
    return dataset_specs(COUNTS, 0, cache=cache)


def _of(specs, *splits):
    return [spec for spec in specs if spec["split"] in splits]


def _strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def test_counts_ids_and_json(specs):
    for split, count in COUNTS.items():
        assert len(_of(specs, split)) == count
    assert len({spec["id"] for spec in specs}) == len(specs)
    assert json.loads(json.dumps(specs)) == specs


def test_same_seed_same_specs_other_seed_others(specs, cache):
    unseen = {split: COUNTS[split] for split in UNSEEN}
    assert dataset_specs(unseen, 0, cache=cache) == _of(specs, *UNSEEN)
    others = dataset_specs({"train": 80}, 1, cache=cache)
    assert sum(a["target"] == b["target"] for a, b in zip(others, specs, strict=False)) < 20


def test_a_larger_set_begins_with_the_smaller(specs, cache):
    fewer = dataset_specs({"train": 96, "validation": 24}, 0, cache=cache)
    assert fewer == _of(specs, "train")[:96] + _of(specs, "validation")[:24]


def test_every_kind_view_style_language_and_scene_occurs(specs):
    train = _of(specs, "train")
    counts = [sum(spec["kind"] == kind for spec in train) for kind in KINDS]
    assert max(counts) - min(counts) <= 1
    for split in ("train", "test"):
        drawn = _of(specs, split)
        assert {spec["user_style"] for spec in drawn} == set(STYLES)
        assert {spec["scene"] for spec in drawn} == {"browse", "letters", "number", "email"}
    assert {spec["view"] for spec in train} == ALL_VIEWS
    assert {spec["language"] for spec in train} == set(LANGUAGE_WEIGHTS)
    browsing = sum(spec["scene"] == "browse" for spec in train) / len(train)
    assert 0.25 < browsing < 0.35


def test_the_unseen_kit_is_in_its_split_alone(specs):
    assert {spec["kit"] for spec in _of(specs, "unseen_kit")} == {"weui"}
    assert {spec["kit"] for spec in _of(specs, "train", "validation", "test")} == set(KITS)


@pytest.mark.parametrize("key", ["text_source", "template", "caption", "target_group"])
def test_unseen_splits_share_no_source_template_caption_or_text_with_training(specs, key):
    ours = {"project/actions", "project/generated"}
    seen = {spec[key] for spec in _of(specs, "train", "validation")}
    unseen = {spec[key] for spec in _of(specs, *UNSEEN)}
    both = {name for name in seen & unseen if not name.startswith("action/")} - ours
    assert not both


def test_no_text_of_the_unseen_splits_stands_anywhere_in_training(specs):
    keys = ("content", "typed", "target", "siblings", "caption")
    trained = {
        text.casefold() for spec in _of(specs, "train", "validation") for text in _strings([spec[k] for k in keys])
    }  # fmt: skip
    for spec in _of(specs, *UNSEEN):
        for key in ("typed", "target", "caption"):
            assert not spec[key] or spec[key].casefold() not in trained, (spec["id"], key, spec[key])


def test_validation_has_texts_of_its_own(specs):
    def typed(split):
        letters = [spec for spec in _of(specs, split) if spec["siblings"]]
        return {spec["target_group"] for spec in letters}

    assert typed("validation") and not typed("validation") & typed("train")


def test_what_is_typed_begins_the_target_and_all_its_paraphrases(specs):
    for spec in specs:
        for text in (spec["target"], *spec["siblings"]):
            assert text.startswith(spec["typed"])
            assert text != spec["typed"]
        assert (spec["typed"] == "") == (spec["scene"] == "browse")
        assert spec["typed"] == spec["typed"].strip()


def test_paraphrases_are_the_other_five_endings_or_none(specs):
    for spec in specs:
        assert len(spec["siblings"]) in (0, 5)
        assert len({spec["target"], *spec["siblings"]}) == len(spec["siblings"]) + 1
    with_style = sum(bool(spec["siblings"]) for spec in specs)
    assert with_style > 0.4 * len(specs)


def test_what_is_typed_in_an_unseen_split_fits_one_text_alone(specs):
    typing = [spec for spec in _of(specs, *UNSEEN) if spec["typed"]]
    for spec in typing:
        others = [
            other["id"]
            for other in typing
            if other is not spec and other["target"].casefold().startswith(spec["typed"].casefold())
        ]
        assert not others, (spec["id"], spec["typed"])


def test_target_groups_gather_actions_and_keep_texts_apart(specs):
    paraphrases = defaultdict(set)
    for spec in specs:
        paraphrases[spec["target_group"]].add(spec["target"])
        assert spec["target_group"].startswith("action/") == (spec["scene"] == "browse")
    assert sum(group.startswith("action/") for group in paraphrases) >= 22
    for group, targets in paraphrases.items():
        if group.startswith("data/"):
            assert len(targets) == 1


def test_what_is_typed_stands_in_the_page(specs):
    for spec in specs:
        assert spec["focus"] == (spec["scene"] != "browse")
        assert spec["template"].startswith(spec["view"] + "/t")
        if spec["keyboard"]:
            assert {"letters": "letters", "digits": "number", "email": "email"}[spec["keyboard"]] == spec[
                "scene"
            ]
    answered = [spec for spec in specs if spec["view"] == "chat/conversation"]
    assert all(len(spec["content"]["turns"]) >= 3 for spec in answered)


@pytest.mark.parametrize("view", sorted(ALL_VIEWS))
def test_templates_and_paraphrases_of_a_view_are_split(view):
    pools = [set(templates(view, split)) for split in ("train", "validation", "test")]
    assert [len(pool) for pool in pools] == [28, 4, 8]
    assert len(set.union(*pools)) == 40
    captions = {}
    for split in WORDED:
        rng = random.Random(0)
        drawn = {_plain(caption(view, "browse", False, split, rng)) for _ in range(400)}
        captions[split] = drawn | {_plain(text) for text in kind_captions(split)[view.split("/")[0]]}
    assert len(captions["train"]) >= 200 and len(captions["test"]) >= 4
    _assert_apart(captions)


def _plain(text):
    """A text without case and punctuation: what two paraphrases must not share."""
    return " ".join(re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", text).casefold()).split())


def _assert_apart(pools):
    for one, other in combinations(WORDED, 2):
        assert pools[one] and pools[other] and not pools[one] & pools[other]


def test_every_split_has_its_own_words_for_actions():
    views = [view for kind in KINDS for view in views_with(kind, "browse")]
    everything = {}
    for split in WORDED:
        rng = random.Random(0)
        for view in views:
            for _ in range(400):
                text, group = action(view, False, split, rng)
                everything.setdefault(group, {}).setdefault(split, set()).add(_plain(text))
    for view in views:
        pools = everything[f"action/{view}"]
        assert len(pools["train"]) >= 40 and len(pools["test"]) == 5
        _assert_apart(pools)
    day, night = (action("settings/display", dark, "train", rng)[1] for dark in (False, True))
    assert day != night


def test_every_split_has_its_own_endings():
    lists = {language: styles for language, styles in endings().items() if language != "smileys"}
    assert set(LANGUAGE_WEIGHTS) <= lists.keys()
    for language, styles in lists.items():
        assert styles.keys() == {"formal", "casual", "wordy", "playful"}, language
        pools = {
            split: {_plain(text) for choices in styles.values() for text in choices[split]}
            for split in WORDED
        }
        _assert_apart(pools)
        assert min(len(choices["train"]) for choices in styles.values()) >= 25, language
    rng = random.Random(0)
    rows = {split: {smileys(split, rng) for _ in range(500)} for split in ("train", "test")}
    assert not rows["train"] & rows["test"]


def test_screens_to_learn_from_say_their_kind_and_the_unseen_ones_do_not(specs):
    for spec in _of(specs, "train", "validation"):
        assert spec["kind_caption"] in kind_captions(spec["split"])[spec["kind"]]
    assert not any("kind_caption" in spec for spec in _of(specs, *UNSEEN))
    drawn = {spec["kind_caption"] for spec in _of(specs, "train")}
    assert len(drawn) > 100


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("terse", {"I left the keys in kitchen"}),
        ("formal", {f"I left the keys in the kitchen{end}" for end in endings()["en"]["formal"]["train"]}),
        ("casual", {f"I left the keys in the kitchen{end}" for end in endings()["en"]["casual"]["train"]}),
    ],
)
def test_a_style_shapes_what_follows(style, expected):
    rng = random.Random(0)
    written = {
        finish("I left the keys in the kitchen.", "I left the keys i", style, "en", "train", rng, query=False)
        for _ in range(1500)
    }
    assert written == expected


def test_an_ending_after_a_question_begins_without_a_comma():
    written = finish("Are you there?", "Are y", "playful", "en", "train", random.Random(0), query=False)
    assert written.startswith("Are you there? ")


def test_a_cut_leaves_letters_with_their_marks():
    rng = random.Random(0)
    text = "मुझे घर जाना है और सोना है"
    for _ in range(200):
        typed = cut(text, "hi", rng)
        assert text.startswith(typed) and 0 < len(typed) < len(text)
        rest = text[len(typed) :]
        assert rest[0] not in "ाीेैंँ्"


def test_a_user_vector_tells_style_and_language():
    rng = random.Random(0)
    users = {
        pair: np.mean([user_vector_of(*pair, rng) for _ in range(30)], axis=0)
        for pair in product(STYLES, ("en", "ja", "ar"))
    }
    names = list(users)
    right = 0
    for index in range(200):
        pair = names[index % len(names)]
        user = np.array(user_vector_of(*pair, rng))
        assert 0.6 < np.linalg.norm(user) < 1.4
        right += min(names, key=lambda name: np.linalg.norm(users[name] - user)) == pair
    assert right >= 195


def test_bad_requests_are_refused(cache):
    with pytest.raises(
        CalibrationDataError, match="no split 'tset': use train, validation, test, unseen_kit"
    ):
        dataset_specs({"tset": 3}, cache=cache)
    with pytest.raises(CalibrationDataError, match="ask for fewer screens"):
        dataset_specs({"validation": 4000}, cache=cache)
    with pytest.raises(ValueError, match="unknown style 'loud'"):
        finish("a", "", "loud", "en", "train", random.Random(0), query=False)
