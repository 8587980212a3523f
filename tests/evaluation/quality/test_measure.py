"""What a perfect encoder, a blind one and a collapsed one would get."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_data.region_cells import covered, region_boxes
from evaluation.quality.measure import (
    REFERENCE,
    SHIPPED,
    fidelity,
    headline,
    kinds,
    nearest_kinds,
    regions,
    retention,
    retrieval,
    sentences,
)
from evaluation.quality.outputs import CONDITIONS, Models, Outputs, Work, prepare
from evaluation.quality.pictures import draw_pictures, pick_examples, pick_failures, rank_all
from evaluation.quality.split import TestSplit, read_split
from runtime.bundle import REGION_NAMES, Bundle
from runtime.user import bound_norm
from tests.runtime.conftest import TINY


@pytest.fixture(scope="module")
def split(split_folder) -> TestSplit:
    return read_split(split_folder, user_embed_dim=64)


@pytest.fixture(scope="module")
def work(split) -> Work:
    return prepare(Models.of_bundle(Bundle.load(TINY), []), split)


def test_users_are_measured_as_an_app_passes_them_on(split, work):
    models = replace(Models.of_bundle(Bundle.load(TINY), []), max_user_norm=0.5)
    given = np.array([sample.user for sample in split.samples], np.float32)
    assert np.array_equal(prepare(models, split).users, bound_norm(given, 0.5))
    assert (np.linalg.norm(work.users, axis=1) > 0.5).any()


@pytest.fixture(scope="module")
def perfect(split, work) -> Outputs:
    """Every context's embedding is its right text's token, mixed with a caption of its kind."""
    random = np.random.default_rng(4)
    texts = random.normal(size=(len(work.texts), 256)).astype(np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    captions = work.positions(split.captions[sample.kind][0] for sample in split.samples)
    embeddings = texts[work.candidates[:, 0]] + 0.5 * texts[captions]
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    blind = random.normal(size=embeddings.shape).astype(np.float32)
    blocks = np.stack([embeddings, blind, embeddings, embeddings])
    return Outputs(blocks, texts, embeddings[:4], np.zeros((0, 0, 0, 0), np.float32))


def engines(shown: Outputs) -> dict[tuple[str, str], Outputs]:
    """What pictures are drawn of."""
    return {REFERENCE: shown, SHIPPED: shown}


def test_the_perfect_one_is_always_right_and_a_blind_one_is_as_good_as_chance(split, work, perfect):
    found = retrieval(perfect, work, split.rows("test"))
    assert list(found) == list(CONDITIONS)
    assert found["all"] == {"r1": [1, 1, 1], "r5": [1, 1, 1], "mrr": [1, 1, 1]}
    assert found["no screen"]["r1"][0] < 0.05 and found["no screen"]["mrr"][0] == pytest.approx(
        0.03, abs=0.03
    )
    accuracy = kinds(perfect, work, split, "test")["accuracy"]
    assert accuracy["all"][0] == 1 and accuracy["all"][1] > 0.97
    assert accuracy["no screen"][0] == pytest.approx(1 / 3, abs=0.15)


def test_a_collapsed_encoder_gets_nothing_from_ties(split, work, perfect):
    one = np.ones_like(perfect.embeddings) / 16
    collapsed = replace(perfect, embeddings=one, texts=np.ones_like(perfect.texts) / 16)
    assert retrieval(collapsed, work, split.rows("test"))["all"]["r5"] == [0, 0, 0]
    assert sentences(collapsed, work, split) == pytest.approx(0, abs=0.05)


def test_masks_are_judged_by_the_drawn_boxes_and_shown_over_the_screens(split, work, perfect):
    """Masks that are the boxes are right; masks of zeros find nothing."""
    drawn = {"title": (0, 20, 190, 30), "input": (10, 300, 80, 24), "keyboard": None}
    samples = tuple(replace(sample, boxes=drawn, width=200, height=400) for sample in split.samples)
    split = replace(split, samples=samples)
    boxes = np.array([region_boxes(sample) for sample in split.samples])
    masks = covered(boxes, (32, 16))
    rows = split.rows("test")
    right = regions(replace(perfect, masks=masks), work, split, rows)
    assert list(right) == [*REGION_NAMES, "mean"] and right["mean"] > 0.9
    assert right["keyboard"] is None and right["status"] is None
    blank = regions(replace(perfect, masks=np.zeros_like(masks)), work, split, rows)
    assert blank["mean"] == 0
    left = masks.copy()
    left[..., 7:] = 0  # of columns 0 to 15 of 16, where the title lies
    assert regions(replace(perfect, masks=left), work, split, rows)["title"] < 0.55
    assert regions(perfect, work, split, rows) is None
    pictures = draw_pictures(split, work, engines(replace(perfect, masks=masks)))
    assert "regions" in pictures and "regions" not in draw_pictures(split, work, engines(perfect))


def test_only_what_is_asked_for_counts(split, work, perfect):
    """Contexts of the other split may be as wrong as they like."""
    spoilt = perfect.embeddings.copy()
    spoilt[:, split.rows("unseen_kit")] *= -1
    outputs = replace(perfect, embeddings=spoilt)
    assert retrieval(outputs, work, split.rows("test"))["all"]["r1"][0] == 1
    assert retrieval(outputs, work, split.rows("unseen_kit"))["all"]["r1"][0] == 0
    guesses = nearest_kinds(outputs, work, split)
    assert [guesses[row] for row in split.rows("test")] == [
        split.samples[row].kind for row in split.rows("test")
    ]


def test_text_towers_that_agree_with_the_teacher_correlate(split, work, perfect):
    texts = perfect.texts.copy()
    width = split.teacher.shape[1]
    texts[work.positions(split.sentences)] = 0
    texts[work.positions(split.sentences), :width] = split.teacher
    assert sentences(replace(perfect, texts=texts), work, split) == pytest.approx(1)


def test_fidelity_names_the_screen_and_the_text_that_are_furthest_off(split, work, perfect):
    """One screen of each split and one text are bent; everything else is as the reference has it."""
    unseen, test = split.rows("unseen_kit")[5], split.rows("test")[17]
    embeddings, texts = perfect.embeddings.copy(), perfect.texts.copy()
    embeddings[0, unseen] *= -1
    embeddings[0, test] = 0.9 * embeddings[0, test] + 0.4 * embeddings[0, test + 1]
    embeddings[1:] *= -1  # given less: not looked at
    texts[40] = texts[41]
    found = fidelity(replace(perfect, embeddings=embeddings, texts=texts), perfect, work, split)
    names = {name: values["worst_sample"] for name, values in found.items()}
    ids = [sample.id for sample in split.samples]
    assert names == {"test": ids[test], "unseen_kit": ids[unseen], "texts": work.texts[40]}
    assert {name: values["n"] for name, values in found.items()} == {
        "test": 210, "unseen_kit": 12, "texts": len(work.texts),
    }  # fmt: skip
    centre = perfect.embeddings[0].astype(float).mean(axis=0)  # of both splits
    for name, row in (("test", test), ("unseen_kit", unseen)):
        own, other = embeddings[0, row] - centre, perfect.embeddings[0, row] - centre
        cosine = own @ other / np.sqrt((own @ own) * (other @ other))
        count = found[name]["n"]
        assert found[name]["worst"] == pytest.approx(cosine, abs=1e-6) and cosine < 0.95
        assert found[name]["mean"] == pytest.approx((count - 1 + cosine) / count, abs=1e-6)
        second = 0.01 * (count - 1)  # the 1st percentile lies between the worst and the next one, which is 1
        assert found[name]["p1"] == pytest.approx(cosine + min(second, 1) * (1 - cosine), abs=1e-6)


def test_retention_is_a_share_of_the_reference():
    def row(value: float) -> dict:
        figures = {"all": {"r1": [value, 0, 1], "r5": [value, 0, 1], "mrr": [value, 0, 1]}}
        accuracy = {"accuracy": {"all": [value, 0, 1]}}
        splits = ("test", "unseen_kit")
        return {
            "retrieval": dict.fromkeys(splits, figures),
            "screen_class": dict.fromkeys(splits, accuracy),
            "spearman": 0.5,
        }

    shares = retention(row(0.72), row(0.8))
    assert (
        shares.keys() == headline(row(1)).keys()
        and shares["r1 test"] == pytest.approx(0.9)
        and shares["spearman"] == 1
    )
    assert set(retention(row(0.5), row(0.0)).values()) == {1.0}


def test_pictures_show_right_answers_as_right_and_failures_as_failures(split, work, perfect):
    rankings = rank_all(split, work, perfect)
    assert len(rankings) == 210 and all(ranking.rank == 1 and ranking.best[0][2] for ranking in rankings)
    examples = pick_examples(split, rankings)
    assert {split.samples[ranking.row].kind for ranking in examples} == set(split.captions)
    pictures = draw_pictures(split, work, engines(perfect))
    assert not pick_failures(rankings) and pictures.keys() == {"map", "fidelity", "examples"}
    blind = replace(perfect, embeddings=perfect.embeddings[[1, 1, 1, 1]])
    failures = pick_failures(rank_all(split, work, blind))
    behind = [ranking.best[0][1] - ranking.right[1] for ranking in failures]
    assert len(failures) == 6 and behind == sorted(behind, reverse=True) and behind[0] > 0
    assert all(data.startswith(b"RIFF") for data in draw_pictures(split, work, engines(blind)).values())
