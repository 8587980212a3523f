"""The committed screens: complete, evenly spread, and in the shape that samples.jsonl promises."""

import json
import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from calibration_data import ROOT

KINDS = {"chat", "mail", "search", "login", "settings", "feed", "shop", "notes"}
SIZE_LIMIT_BYTES = 12_000_000
SHEET_LIMIT_BYTES = 600_000
WIDTH_PX, HEIGHT_PX = 1080, 2340


@pytest.fixture(scope="module")
def samples():
    lines = (ROOT / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def thumbnails(samples):
    """Every screen at 54x117, grey: decoding each of them is the check that none is damaged."""
    small = {}
    for sample in samples:
        with Image.open(ROOT / sample["image"]) as image:
            assert image.format == "WEBP"
            assert image.size == (sample["width"], sample["height"]) == (WIDTH_PX, HEIGHT_PX)
            image.draft("L", (108, 234))
            small[sample["id"]] = np.asarray(
                image.convert("L").resize((54, 117), Image.Resampling.BOX), np.float32
            )
    return small


def test_there_are_enough_of_both_splits(samples):
    counts = Counter(sample["split"] for sample in samples)
    assert set(counts) == {"calibration", "parity"}
    assert counts["calibration"] >= 64
    assert counts["parity"] >= 32


def test_ids_are_unique_and_every_line_has_the_documented_keys(samples):
    assert len({sample["id"] for sample in samples}) == len(samples)
    keys = "id split image text user user_style kind kit look dark keyboard language boxes width height"
    assert all(list(sample) == keys.split() for sample in samples)


def test_files_and_list_name_the_same_images(samples):
    on_disk = {f"screens/{path.name}" for path in (ROOT / "screens").iterdir()}
    assert on_disk == {sample["image"] for sample in samples}


def test_all_images_together_fit_the_limit():
    assert sum(path.stat().st_size for path in (ROOT / "screens").iterdir()) <= SIZE_LIMIT_BYTES
    assert (ROOT / "contact_sheet.webp").stat().st_size <= SHEET_LIMIT_BYTES


@pytest.mark.parametrize("split", ["calibration", "parity"])
def test_properties_are_spread_evenly(samples, split):
    chosen = [sample for sample in samples if sample["split"] == split]
    for key, values in {
        "kind": KINDS,
        "kit": {"framework7", "onsenui"},
        "look": {"ios", "material"},
        "dark": {False, True},
    }.items():
        counts = Counter(sample[key] for sample in chosen)
        assert set(counts) == values
        assert max(counts.values()) - min(counts.values()) <= 1, (key, counts)
    keyboards = Counter(sample["keyboard"] for sample in chosen)
    assert set(keyboards) == {None, "letters", "digits", "email"}
    assert min(keyboards.values()) >= len(chosen) / 8
    languages = Counter(sample["language"] for sample in chosen)
    assert set(languages) == {"en", "de", "es", "fr", "ja", "zh", "ar", "hi", "ru"}
    looks = Counter((sample["kit"], sample["look"], sample["dark"]) for sample in chosen)
    assert len(looks) == 8
    assert max(looks.values()) - min(looks.values()) <= 1


def test_every_kind_is_drawn_with_every_kit_and_look(samples):
    assert len({(sample["kind"], sample["kit"], sample["look"]) for sample in samples}) == len(KINDS) * 4


def test_no_typed_text_is_in_both_splits(samples):
    texts = {
        split: {sample["text"] for sample in samples if sample["split"] == split and sample["text"]}
        for split in ("calibration", "parity")
    }
    assert texts["calibration"] and texts["parity"]
    assert not texts["calibration"] & texts["parity"]


def test_a_keyboard_means_that_somebody_types(samples):
    for sample in samples:
        if sample["keyboard"] is not None:
            assert sample["text"], sample["id"]
        assert (sample["boxes"]["input"] is None) == (sample["text"] == ""), sample["id"]
        assert sample["keyboard"] != "digits" or any(char.isdigit() for char in sample["text"]), sample["id"]


def test_some_texts_have_emoji_and_some_screens_are_without_a_keyboard(samples):
    assert any(ord(char) > 0x1F000 for sample in samples for char in sample["text"])
    assert any(sample["keyboard"] is None and sample["text"] for sample in samples)


def test_user_vectors_are_64_finite_numbers_of_about_unit_norm(samples):
    for sample in samples:
        assert len(sample["user"]) == 64
        assert all(math.isfinite(value) and value == round(value, 4) for value in sample["user"])
        assert 0.7 < np.linalg.norm(sample["user"]) < 1.3


def test_users_of_one_style_are_nearer_to_each_other_than_to_others(samples):
    vectors = {sample["id"]: np.array(sample["user"]) for sample in samples}
    same, other = [], []
    for a, b in combinations(samples, 2):
        (same if a["user_style"] == b["user_style"] else other).append(vectors[a["id"]] @ vectors[b["id"]])
    assert np.mean(same) > np.mean(other) + 0.4
    assert len({sample["user_style"] for sample in samples}) >= 4


def test_boxes_lie_on_the_screen_where_phones_have_them(samples):
    for sample in samples:
        boxes = sample["boxes"]
        assert set(boxes) == {"title", "input", "keyboard", "status"}
        for name, box in boxes.items():
            if box is not None:
                x, y, width, height = box
                assert x >= 0 and y >= 0 and width > 0 and height > 0, (sample["id"], name)
                assert x + width <= WIDTH_PX and y + height <= HEIGHT_PX, (sample["id"], name)
        status, title = boxes["status"], boxes["title"]
        assert status[:3] == [0, 0, WIDTH_PX] and 60 <= status[3] <= 150
        assert title[1] >= status[3] - 1 and title[1] < 300 and title[2] == WIDTH_PX


def test_keyboards_are_at_the_bottom_and_never_cover_the_field(samples):
    for sample in samples:
        keyboard, field = sample["boxes"]["keyboard"], sample["boxes"]["input"]
        assert (keyboard is None) == (sample["keyboard"] is None)
        if keyboard is not None:
            assert keyboard[0] == 0 and keyboard[2] == WIDTH_PX
            assert keyboard[1] > HEIGHT_PX * 0.5
            assert HEIGHT_PX - (keyboard[1] + keyboard[3]) < 150
            assert field[1] + field[3] <= keyboard[1] + 1, sample["id"]


def test_no_two_screens_look_alike(thumbnails):
    for (first, a), (second, b) in combinations(thumbnails.items(), 2):
        assert np.abs(a - b).mean() > 4.0, (first, second)


def test_no_screen_is_empty(thumbnails):
    for name, image in thumbnails.items():
        assert image.std() > 12, name


def test_dark_screens_are_dark_and_light_ones_light(samples, thumbnails):
    for sample in samples:
        behind_the_home_indicator = thumbnails[sample["id"]][-1]
        assert (np.median(behind_the_home_indicator) < 110) == sample["dark"], sample["id"]
