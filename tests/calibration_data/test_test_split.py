"""The committed test split, and how it is made from a dataset."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from calibration_data import CalibrationDataError
from calibration_data.generator.situations import kind_captions
from calibration_data.generator.test_split import (
    FOLDER,
    SCREENS_BYTES,
    make_test_split,
    read_test_samples,
)
from calibration_data.samples import read_samples
from evaluation.quality.candidates import CANDIDATES, candidate_sets
from evaluation.quality.split import available, read_split
from runtime.preprocess import load_image
from tests.conftest import ROOT, missing

SOURCES = [
    json.loads(line) for line in (ROOT / "calibration_data" / "samples.jsonl").read_text().splitlines()
]
SENTENCES = [f"sentence number {number}" for number in range(20)]


@pytest.fixture
def dataset(tmp_path):
    """A dataset of four splits, with four committed screenshots for screens."""
    folder = tmp_path / "dataset"
    (folder / "screens").mkdir(parents=True)
    rows = []
    for number, split in enumerate(("train", "validation", "test", "unseen_kit", "test")):
        source = SOURCES[number]
        (folder / f"screens/s{number}.webp").write_bytes(
            (ROOT / "calibration_data" / source["image"]).read_bytes()
        )
        keys = (
            "user",
            "user_style",
            "kind",
            "kit",
            "look",
            "dark",
            "keyboard",
            "language",
            "boxes",
            "width",
            "height",
        )
        rows.append({key: source[key] for key in keys} | {
            "id": f"s{number}", "split": split, "image": f"screens/s{number}.webp", "text": "see y", "view": "chat/cart",
            "template": "chat/cart/t1", "text_source": "a/b", "target": "see you ☂", "target_group": f"g{number}",
            "siblings": ["see you, bye", "see you!"], "caption": "a chat",
        })  # fmt: skip
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


TEACHER = np.random.default_rng(1).normal(size=(20, 8)).astype(np.float16)
"""Embeddings of the sentences."""


def make(dataset, out, **more):
    return make_test_split(read_test_samples(dataset), SENTENCES, TEACHER, out, **more)


def test_a_test_split_is_what_the_dataset_holds_in_small(dataset, tmp_path):
    out = tmp_path / "split"
    out.mkdir()
    (out / "README.md").write_text("mine")
    steps = []
    line = make(dataset, out, on_step=lambda *step: steps.append(step))
    assert "2 test, 1 unseen_kit" in line and "MB" in line
    assert [done for done, _, _ in steps] == sorted(done for done, _, _ in steps)
    assert steps[-1][0] == steps[-1][1] == 6
    split = read_split(out, user_embed_dim=64)
    wanted = read_samples(dataset, splits=("test", "unseen_kit"), user_embed_dim=64)
    assert [sample.id for sample in split.samples] == [sample.id for sample in wanted] == ["s2", "s3", "s4"]
    for own, source in zip(split.samples, wanted, strict=True):
        for key in (
            "split",
            "text",
            "user",
            "target",
            "target_group",
            "siblings",
            "caption",
            "kind",
            "kit",
            "language",
        ):
            assert getattr(own, key) == getattr(source, key)
        assert own.boxes.keys() == source.boxes.keys()
        for name, box in source.boxes.items():
            if box is None:
                assert own.boxes[name] is None
                continue
            parts = np.divide(box, (source.width, source.height) * 2)
            np.testing.assert_allclose(np.divide(own.boxes[name], (128, 256) * 2), parts, atol=0.001)
        with Image.open(own.image) as image:
            assert image.size == (128, 256) == (own.width, own.height)
        pixels, original = (load_image(path, (256, 128)).astype(float) for path in (own.image, source.image))
        assert np.abs(pixels - original).mean() < 4
    assert split.sentences == tuple(SENTENCES)
    np.testing.assert_array_equal(split.teacher, TEACHER.astype(np.float32))
    assert split.captions == {kind: tuple(texts) for kind, texts in kind_captions("test").items()}
    assert (out / "README.md").read_text() == "mine"
    files = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    make(dataset, out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == files
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "split"]


def test_screens_are_stored_as_well_as_fits(dataset, tmp_path, monkeypatch):
    make(dataset, tmp_path / "well")
    sizes = [path.stat().st_size for path in sorted((tmp_path / "well" / "screens").iterdir())]
    monkeypatch.setattr("calibration_data.generator.test_split.SCREENS_BYTES", sum(sizes) - 1)
    make(dataset, tmp_path / "tight")
    tight = [path.stat().st_size for path in sorted((tmp_path / "tight" / "screens").iterdir())]
    assert sum(tight) < sum(sizes)
    monkeypatch.setattr("calibration_data.generator.test_split.SCREENS_BYTES", 100)
    with pytest.raises(CalibrationDataError, match="3 screens do not fit in"):
        make(dataset, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_bad_datasets_leave_the_old_split_alone(dataset, tmp_path):
    out = tmp_path / "split"
    make(dataset, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (dataset / "screens" / "s4.webp").write_bytes(b"RIFF")
    with pytest.raises(CalibrationDataError, match=r"sample 's4': .*s4\.webp"):
        make(dataset, out)
    with pytest.raises(CalibrationDataError, match=r"no samples.jsonl there"):
        make(tmp_path / "nowhere", out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "split"]


@pytest.fixture
def committed():
    if not available():
        missing("no test split is committed")
    return read_split(user_embed_dim=64)


def test_the_committed_split_is_small_complete_and_its_own_size(committed):
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    assert size <= 6_000_000
    assert sum(sample.image.stat().st_size for sample in committed.samples) <= SCREENS_BYTES
    assert len(committed.rows("test")) >= 500 and len(committed.rows("unseen_kit")) >= 150
    assert len(committed.sentences) == len(set(committed.sentences)) == 1000
    assert committed.teacher.shape == (1000, 384)
    np.testing.assert_allclose(np.linalg.norm(committed.teacher, axis=1), 1, atol=2e-3)
    for sample in committed.samples:
        with Image.open(io.BytesIO(sample.image.read_bytes())) as image:
            assert image.size == (128, 256)
        assert set(sample.boxes) == {"title", "input", "keyboard", "status"}
        assert sample.boxes["title"] and sample.boxes["status"]


def test_the_committed_contexts_have_right_targets_and_200_candidates(committed):
    for sample, texts in zip(committed.samples, candidate_sets(committed.samples), strict=True):
        assert sample.target.startswith(sample.text) and sample.target != sample.text
        assert len(texts) == CANDIDATES
    kinds = {
        split: {committed.samples[row].kind for row in committed.rows(split)}
        for split in ("test", "unseen_kit")
    }
    assert kinds["test"] == kinds["unseen_kit"] == set(committed.captions)
    kits = {
        split: {committed.samples[row].kit for row in committed.rows(split)}
        for split in ("test", "unseen_kit")
    }
    assert kits["unseen_kit"] == {"weui"} and "weui" not in kits["test"]
