"""The command line: clear errors, nothing left behind, and one screen really rendered."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from calibration_data import ROOT
from calibration_data.generator.tools import CACHE, check_fonts
from tests.conftest import missing, require_tool

SCREEN = "settings-0010"


def run(*args, path=None):
    env = {**os.environ, **({"PATH": path} if path is not None else {})}
    command = [sys.executable, "-m", "calibration_data", *map(str, args)]
    return subprocess.run(command, cwd=ROOT.parent, env=env, capture_output=True, text=True)


def one_line_error(result):
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    return errors[0]


def test_help_names_all_commands():
    result = run("--help")
    assert result.returncode == 0
    assert all(command in result.stdout for command in ("render", "dataset", "contact-sheet"))


@pytest.mark.parametrize("command", ["render", "dataset"])
def test_missing_chromium_is_one_line_with_the_command_that_installs_it(command, tmp_path):
    out = tmp_path / "out"
    error = one_line_error(run(command, "--out", out, path=str(tmp_path)))
    assert "chromium is not installed" in error and "apt-get install chromium" in error
    assert not out.exists()
    assert list(tmp_path.iterdir()) == []


def test_missing_node_is_named_too(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "chromium").write_text("#!/bin/sh\n")
    (programs / "chromium").chmod(0o755)
    error = one_line_error(run("render", "--out", tmp_path / "out", path=str(programs)))
    assert "node is not installed" in error
    assert not (tmp_path / "out").exists()


def test_a_screen_that_is_not_in_the_plan_is_refused(tmp_path):
    error = one_line_error(run("render", "--out", tmp_path / "out", "--only", "chat-9999"))
    assert "chat-9999" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "option", [("--jobs", "0"), ("--jobs", "many"), ("--calibration", "-3"), ("--frames", "2")]
)
def test_bad_options_are_told_in_one_line(option):
    assert option[0] in one_line_error(run("render", *option))


@pytest.mark.parametrize("option", [("--train", "-1"), ("--unseen-kit", "some"), ("--parity", "3")])
def test_bad_options_of_dataset_are_told_in_one_line(option):
    assert option[0] in one_line_error(run("dataset", *option))


def test_contact_sheet_of_a_folder_without_samples(tmp_path):
    assert "samples.jsonl does not exist" in one_line_error(run("contact-sheet", "--out", tmp_path))


def test_contact_sheet_of_a_damaged_list_names_the_line(tmp_path):
    (tmp_path / "samples.jsonl").write_text('{"id": "a"}\n{"id": \n')
    assert "line 2" in one_line_error(run("contact-sheet", "--out", tmp_path))


def test_contact_sheet_again_gives_the_same_bytes(tmp_path):
    shutil.copy(ROOT / "samples.jsonl", tmp_path)
    (tmp_path / "screens").symlink_to(ROOT / "screens")
    assert run("contact-sheet", "--out", tmp_path).returncode == 0
    assert (tmp_path / "contact_sheet.webp").read_bytes() == (ROOT / "contact_sheet.webp").read_bytes()


def test_one_screen_is_rendered_as_committed(tmp_path):
    for tool in ("chromium", "node", "npm", "fc-list"):
        require_tool(tool)
    try:
        check_fonts()
    except ValueError as error:
        missing(str(error))
    if not (CACHE / "kits").is_dir() and os.environ.get("POCKET_REQUIRE_ALL") != "1":
        missing("the UI kits are not in the cache yet: run make calibration-data once")
    result = run("render", "--out", tmp_path / "out", "--only", SCREEN)
    assert result.returncode == 0, result.stderr
    drawn = json.loads((tmp_path / "out" / "samples.jsonl").read_text())
    lines = (ROOT / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    committed = next(sample for sample in map(json.loads, lines) if sample["id"] == SCREEN)
    with Image.open(tmp_path / "out" / drawn["image"]) as image:
        assert image.size == (committed["width"], committed["height"])
    for name, box in committed["boxes"].items():
        assert (box is None) == (drawn["boxes"][name] is None)
        assert all(abs(a - b) <= 6 for a, b in zip(box or [], drawn["boxes"][name] or [], strict=True)), name
    del drawn["boxes"], committed["boxes"]
    assert drawn == committed
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"samples.jsonl", "screens", "contact_sheet.webp"}
