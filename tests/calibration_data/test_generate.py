"""Drawing a training set: resumable, repeatable, and clear about what goes wrong."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from calibration_data import ROOT, CalibrationDataError
from calibration_data.generator.generate import generate
from calibration_data.generator.tools import CACHE, check_fonts
from calibration_data.samples import read_samples
from tests.calibration_data.page_specs import page_spec
from tests.conftest import missing, require_tool

SPECS = [
    page_spec("chat", "conversation", "letters", "framework7"),
    page_spec("shop", "cart", "browse", "onsenui"),
    page_spec("chat", "conversations", "browse", "weui"),
    page_spec("login", "code", "number", "weui"),
    page_spec("notes", "writing", "letters", "onsenui"),
    page_spec("feed", "friends", "email", "framework7"),
]
RUN = """
import json, sys
from pathlib import Path
from calibration_data.generator.generate import generate
generate(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), jobs=1)
"""
USER_DIM = 64


@pytest.fixture(scope="module", autouse=True)
def tools():
    for tool in ("chromium", "node", "npm", "fc-list"):
        require_tool(tool)
    try:
        check_fonts()
    except ValueError as error:
        missing(str(error))
    if not (CACHE / "kits").is_dir() and os.environ.get("POCKET_REQUIRE_ALL") != "1":
        missing("the UI kits are not in the cache yet: run make calibration-data once")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken")
    assert generate(SPECS, out) == {}
    return out


def content(folder):
    """Everything that a reader of the folder gets; the journal's order is how the run went."""
    files = [folder / "samples.jsonl", *sorted((folder / "screens").iterdir())]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def kill_after(screens, specs, out):
    """Starts a run in a process group of its own and kills it once so many screens are in the journal."""
    (out.parent / "specs.json").write_text(json.dumps(specs))
    command = [sys.executable, "-c", RUN, str(out.parent / "specs.json"), str(out)]
    run = subprocess.Popen(command, cwd=ROOT.parent, start_new_session=True, stderr=subprocess.PIPE)
    journal = out / "drawn.jsonl"
    while run.poll() is None and (not journal.exists() or journal.read_bytes().count(b"\n") < screens):
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


def test_every_screen_has_an_image_and_a_sample_that_the_reader_accepts(unbroken):
    samples = read_samples(unbroken, splits=("train",), user_embed_dim=USER_DIM)
    assert [sample.id for sample in samples] == [spec["id"] for spec in SPECS]
    for sample, spec in zip(samples, SPECS, strict=True):
        assert (sample.kit, sample.view, sample.text) == (spec["kit"], spec["view"], spec["typed"])
        with Image.open(sample.image) as image:
            assert image.size == (sample.width, sample.height) == (360, 640)
            assert len(image.convert("RGB").getcolors(360 * 640)) > 50
        assert sample.boxes["status"] and sample.boxes["title"]
        assert (sample.boxes["keyboard"] is None) == (spec["keyboard"] is None)
        assert (sample.boxes["input"] is None) == (spec["scene"] == "browse")


def test_a_killed_run_goes_on_where_it_was_and_ends_with_the_same_bytes(unbroken, tmp_path):
    out = tmp_path / "out"
    kill_after(2, SPECS, out)
    assert not (out / "samples.jsonl").exists()
    with (out / "drawn.jsonl").open("a") as journal:
        journal.write('{"spec": "torn li')
    kept = {path.name: path.stat().st_mtime_ns for path in (out / "screens").iterdir()}
    known = [json.loads(line) for line in (out / "drawn.jsonl").read_text().splitlines()[:-1]]
    assert 2 <= len(known) < len(SPECS)
    new = []
    assert generate(SPECS, out, on_screen=new.append) == {}
    assert new == [len(known)] + [1] * (len(SPECS) - len(known))
    assert content(out) == content(unbroken)
    for entry in known:
        name = entry["sample"]["image"].removeprefix("screens/")
        assert (out / "screens" / name).stat().st_mtime_ns == kept[name]


def test_only_a_screen_whose_specification_changed_is_drawn_again(unbroken, tmp_path):
    specs = [*SPECS[:2]]
    generate(specs, tmp_path)
    changed = [{**specs[0], "dark": True}, specs[1]]
    new = []
    generate(changed, tmp_path, on_screen=new.append)
    assert new == [1, 1]
    images = content(tmp_path)
    assert images[f"screens/{specs[0]['id']}.webp"] != content(unbroken)[f"screens/{specs[0]['id']}.webp"]
    assert images[f"screens/{specs[1]['id']}.webp"] == content(unbroken)[f"screens/{specs[1]['id']}.webp"]


def test_another_plan_in_the_same_folder_and_back_again_gives_the_first_pictures(unbroken, tmp_path):
    for specs in (SPECS[:2], [{**spec, "dark": True} for spec in SPECS[:2]], SPECS[:2]):
        generate(specs, tmp_path)
    for spec in SPECS[:2]:
        name = f"screens/{spec['id']}.webp"
        assert content(tmp_path)[name] == content(unbroken)[name]


def test_a_screen_that_cannot_be_drawn_stops_a_small_set_but_keeps_the_others(tmp_path):
    broken = {**SPECS[1], "id": "broken", "view": "shop/attic"}
    with pytest.raises(
        CalibrationDataError, match=r"1 of 2 screens could not be drawn.*broken \(.*unknown view"
    ):
        generate([SPECS[1], broken], tmp_path)
    assert len((tmp_path / "drawn.jsonl").read_text().splitlines()) == 1
    assert not (tmp_path / "samples.jsonl").exists()
    generate([SPECS[1]], tmp_path)
    assert len((tmp_path / "samples.jsonl").read_text().splitlines()) == 1


def test_a_few_screens_that_show_something_else_than_was_typed_are_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr("calibration_data.generator.generate.FAILED_SHARE", 0.5)
    wrong = {**SPECS[3], "id": "wrong", "typed": "12\n34"}
    failed = generate([SPECS[1], wrong], tmp_path)
    assert list(failed) == ["wrong"] and "'1234'" in failed["wrong"]
    [sample] = read_samples(tmp_path, splits=("train",), user_embed_dim=USER_DIM)
    assert sample.id == SPECS[1]["id"]
    assert [path.name for path in (tmp_path / "screens").iterdir()] == [f"{sample.id}.webp"]


def test_an_empty_set_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(CalibrationDataError, match="no screen to draw"):
        generate([], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a disk that is full is /dev/full here")
def test_a_full_disk_is_one_line_that_says_how_to_go_on(tmp_path):
    (tmp_path / "screens").mkdir()
    (tmp_path / "screens" / f"{SPECS[1]['id']}.webp").symlink_to("/dev/full")
    with pytest.raises(CalibrationDataError, match=r"disk is full.*goes on from here") as caught:
        generate([SPECS[1]], tmp_path)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__.errno == errno.ENOSPC
