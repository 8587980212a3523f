"""The one reader of folders of screens: what is wrong in them is named by file and line."""

import json
import subprocess
import sys

import pytest

from calibration_data import ROOT, CalibrationDataError
from calibration_data.samples import DATASET_REQUIRED, read_samples

LINE = {
    "id": "a", "split": "train", "image": "a.webp", "text": "see you", "user": [0.5] * 4, "user_style": "terse",
    "kind": "chat", "view": "chat/conversation", "template": "chat/conversation/t1", "kit": "weui", "look": "ios",
    "dark": False, "keyboard": None, "language": "en", "boxes": {"title": [0, 10, 100, 20.5], "input": None},
    "width": 100, "height": 200, "text_source": "tatoeba", "target": "see you soon", "target_group": "t/1",
    "siblings": ["see you soon!"], "caption": "two people chat",
}  # fmt: skip


def folder_of(path, *lines):
    (path / "a.webp").write_bytes(b"not opened")
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (path / "samples.jsonl").write_text(text)
    return path


def read(folder, *splits, dim=4):
    return read_samples(folder, splits=splits or ("train",), user_embed_dim=dim)


def test_every_key_of_a_line_is_read(tmp_path):
    (sample,) = read(folder_of(tmp_path, LINE))
    for name in LINE.keys() - {"image", "user", "boxes", "siblings"}:
        assert getattr(sample, name) == LINE[name]
    assert sample.image == (tmp_path / "a.webp").resolve()
    assert sample.user == (0.5,) * 4 and sample.siblings == ("see you soon!",)
    assert sample.boxes == {"title": (0.0, 10.0, 100.0, 20.5), "input": None}


def test_other_splits_are_skipped_and_order_is_kept(tmp_path):
    lines = [
        LINE | {"id": name, "split": split}
        for name, split in zip("edcba", ["train", "test"] * 3, strict=False)
    ]
    folder = folder_of(tmp_path, *lines)
    assert [sample.id for sample in read(folder)] == ["e", "c", "a"]
    assert [sample.id for sample in read(folder, "test")] == ["d", "b"]
    with pytest.raises(
        CalibrationDataError, match=r"samples.jsonl: no samples of split validation or unseen_kit"
    ):
        read(folder, "validation", "unseen_kit")


def test_the_committed_screens_need_less_and_are_all_read():
    samples = read_samples(ROOT, splits=("calibration", "parity"), user_embed_dim=64)
    assert len(samples) == 104 and {sample.split for sample in samples} == {"calibration", "parity"}
    assert all(sample.target == "" and sample.siblings == () for sample in samples)


@pytest.mark.parametrize("key", sorted(DATASET_REQUIRED))
def test_a_dataset_needs_what_training_needs(tmp_path, key):
    line = {name: value for name, value in LINE.items() if name != key}
    with pytest.raises(CalibrationDataError, match=f"samples.jsonl:1: missing {key}"):
        read(folder_of(tmp_path, line))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "training"}, "split is 'training'; valid: train, validation, test, unseen_kit"),
        ({"targets": "x"}, "unknown key targets; valid keys: id, split"),
        ({"dark": 1}, "dark is 1, which is of the wrong type"),
        ({"width": True}, "width is True, which is of the wrong type"),
        ({"siblings": ["a", 1]}, "siblings must be texts"),
        ({"user": [0.1] * 5}, "user must be 4 finite numbers"),
        ({"user": [0.1, 0.1, 0.1, float("inf")]}, "not valid JSON: Infinity is no number"),
        ({"user": [0.1, 0.1, 0.1, 1e299]}, "user must be 4 finite numbers of float32"),  # infinite there
        ({"user": [0.1, 0.1, 0.1, -3.5e38]}, "user must be 4 finite numbers of float32"),
        ({"user": [10**60, 0, 0, 0]}, "user must be 4 finite numbers of float32"),
        ({"user": [10**4000, 0, 0, 0]}, "user must be 4 finite numbers of float32"),
        ({"user": [True, 0, 0, 0]}, "user must be 4 finite numbers of float32"),
        ({"width": 10**60}, "width is 1000000000"),
        ({"height": -1}, "height is -1; it must be from 0 to 65536"),
        ({"text": ["y" * 30_000]}, "text is ['yyy"),
        ({"y" * 30_000: 1}, "unknown key yyy"),
        ({"split": [None] * 9000}, "split is [None, None"),
        ({"boxes": {"y" * 30_000: None}}, "unknown box yyy"),
        ({"boxes": {"title": [0, 0, 1e39, 1]}}, "boxes.title must be 4 finite numbers of float32"),
        ({"boxes": {"title": [0, 0, 1e30, 1]}}, "not inside the screen of 100x200"),
        ({"image": "y" * 30_000}, "no such image: 'yyy"),
        ({"image": "a\0.webp"}, "no such image: 'a\\x00.webp'"),
        ({"image": "\ud800.webp"}, "no such image: '\\ud800.webp'"),
        ({"boxes": {"button": [0, 0, 1, 1]}}, "unknown box button; valid: title, input, keyboard, status"),
        (
            {"boxes": {"title": [0, 0, 101, 1]}},
            "boxes.title is [0, 0, 101, 1], not inside the screen of 100x200",
        ),
        ({"boxes": {"title": [0, -1, 10, 10]}}, "not inside the screen"),
        ({"boxes": {"title": [0, 0, 10, 0]}}, "not inside the screen"),
        ({"boxes": {"title": [0, 0, 10]}}, "boxes.title must be 4 finite numbers"),
        ({"image": "b.webp"}, "no such image: b.webp"),
        ({"image": "../a.webp"}, "image '../a.webp' lies outside"),
        ({"image": "/etc/passwd"}, "image '/etc/passwd' lies outside"),
    ],
)
def test_a_bad_line_is_named(tmp_path, change, message):
    with pytest.raises(CalibrationDataError) as refused:
        read(folder_of(tmp_path, LINE, LINE | {"id": "b"} | change))
    said = str(refused.value)
    assert said.startswith(f"{tmp_path}/samples.jsonl:2: ") and message in said and len(said) < 1000


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(CalibrationDataError, match=r"no samples.jsonl there; see calibration_data/README.md"):
        read(tmp_path / "nowhere")
    with pytest.raises(CalibrationDataError, match=r"samples.jsonl:2: not valid JSON"):
        read(folder_of(tmp_path, LINE, '{"id": '))
    with pytest.raises(CalibrationDataError, match=r"samples.jsonl:2: not valid JSON: nested too deep"):
        read(folder_of(tmp_path, LINE, '{"id":' * 100_000 + "1" + "}" * 100_000))
    (tmp_path / "samples.jsonl").write_bytes(b"\xff")
    with pytest.raises(CalibrationDataError, match=r"samples.jsonl: not UTF-8 at byte 0"):
        read(tmp_path)
    with pytest.raises(CalibrationDataError, match=r"samples.jsonl:1: each line must hold one JSON object"):
        read(folder_of(tmp_path, "[1]"))
    with pytest.raises(CalibrationDataError, match=r"samples.jsonl: the id 'a' appears twice"):
        read(folder_of(tmp_path, LINE, LINE))
    with pytest.raises(ValueError, match="they must be of"):
        read(tmp_path, "train", "parity")


def test_reading_samples_loads_nothing_heavy():
    code = "import sys, calibration_data.samples; print(*{name.split('.')[0] for name in sys.modules})"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT.parent, capture_output=True, text=True, check=True
    )
    heavy = {"numpy", "torch", "PIL", "rich", "encoder", "export"}
    assert not heavy & set(run.stdout.split())
