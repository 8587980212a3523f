"""The command line as a user meets it: what it prints, and one clear line for every bad input."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime import ScreenEncoder
from tests.runtime.conftest import change_manifest
from tests.runtime.test_preprocess import png_header

ROOT = Path(__file__).parents[2]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(ended, *messages: str) -> None:
    """One line on standard error, nothing on standard output, exit 2."""
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("error: ") and ended.err.endswith("\n") and ended.err.count("\n") == 1
    for message in messages:
        assert message in ended.err


def test_encode_prints_what_a_person_wants_to_know(tiny, screen, command):
    ended = command("encode", tiny, screen, "--text", "see you at")
    assert ended.code == 0 and ended.err == ""
    for part in (
        str(screen),
        "'see you at'",
        "tflite int8, 1 thread",
        "vision",
        "float32 [256], norm 1.0000",
    ):
        assert part in ended.out


@pytest.mark.parametrize("engine", ["tflite", "onnx"])
@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_encode_gives_the_same_embedding_as_the_class(tiny, screen, command, tmp_path, engine, precision):
    user = [round(0.01 * number, 2) for number in range(64)]
    (tmp_path / "user.json").write_text(json.dumps(user))
    expected = ScreenEncoder.load(tiny, engine, precision).encode(screen, "hello", user)
    chosen = ("--engine", engine, "--precision", precision, "--text", "hello", "--json")
    for given in (",".join(map(str, user)), tmp_path / "user.json"):
        ended = command("encode", tiny, screen, *chosen, "--user", given, "--out", tmp_path / "out.npy")
        assert ended.code == 0
        assert np.array_equal(np.array(json.loads(ended.out)["embedding"], np.float32), expected)
        assert np.array_equal(np.load(tmp_path / "out.npy"), expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.npy", "screen.png", "user.json"]


def test_the_process_itself_is_quiet_and_exits_with_the_codes(tiny, screen):
    run = [sys.executable, "-m", "runtime"]
    helped = subprocess.run([*run, "encode", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert helped.stdout.startswith("usage: python -m runtime encode ")
    well = subprocess.run([*run, "encode", tiny, screen], cwd=ROOT, capture_output=True, text=True)
    assert (well.returncode, well.stderr) == (0, "")
    bad = subprocess.run([*run, "encode", tiny, "none.png"], cwd=ROOT, capture_output=True, text=True)
    assert (bad.returncode, bad.stdout, bad.stderr) == (2, "", "error: none.png: no such image file\n")


def test_help_lists_the_commands_and_options(command):
    assert all(f"\n  {word} " in command("--help").out for word in ("encode", "rank", "parity", "bench"))
    for name in ("encode", "rank", "parity", "bench"):
        ended = command(name, "--help")
        assert ended.code == 0 and all(
            word in ended.out for word in ("--engine", "--precision", "--json", "DIST")
        )


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ((), ("no command given", "encode, rank, parity, bench")),
        (("embed",), ("'embed'", "encode", "parity", "bench")),
        (("encode",), ("DIST", "IMAGE")),
        (("encode", "DIST", "IMG", "--engin"), ("--engin", "--engine", "--precision", "--text", "--user")),
        (("encode", "DIST", "IMG", "--engine", "torch"), ("'torch'", "'tflite'", "'onnx'")),
        (("parity", "DIST", "--precision", "int4"), ("'int4'", "'int8'", "'fp32'")),
        (("encode", "DIST", "IMG", "--threads", "0"), ("threads must be a positive integer",)),
        (("encode", "DIST", "IMG", "--threads", "two"), ("'two'",)),
        (("parity", "DIST", "--threads", "-2"), ("threads must be a positive integer",)),
        (("bench", "DIST", "--runs", "0"), ("--runs must be at least 1",)),
        (("parity", "NONE"), ("no such bundle folder",)),
        (("bench", "NONE"), ("no such bundle folder",)),
    ],
)
def test_bad_use(tiny, screen, tmp_path, command, arguments, messages):
    stand_ins = {"DIST": tiny, "IMG": screen, "NONE": tmp_path / "none"}
    before = tree(tmp_path)
    assert_refused(command(*(stand_ins.get(argument, argument) for argument in arguments)), *messages)
    assert tree(tmp_path) == before


def cut(path: Path) -> None:
    """Halves a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("empty.png", lambda path: path.touch(), "empty.png: the image file is empty"),
        ("text.png", lambda path: path.write_text("hello"), "text.png: not an image"),
        (
            "huge.png",
            lambda path: path.write_bytes(png_header(10_000, 10_000)),
            "huge.png: 10000x10000 is 100 megapixels",
        ),
        ("folder.png", lambda path: path.mkdir(), "folder.png: no such image file"),
        ("none.png", lambda path: None, "none.png: no such image file"),
        (
            "cut.png",
            lambda path: (Image.effect_noise((90, 90), 50).save(path), cut(path)),
            "cut.png: damaged or truncated",
        ),
    ],
)
def test_bad_images(tiny, tmp_path, command, name, spoil, message):
    spoil(tmp_path / name)
    before = tree(tmp_path)
    assert_refused(command("encode", tiny, tmp_path / name, "--out", tmp_path / "out.npy"), message)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("1,2,3", "must be 64 numbers, not 3 numbers"),
        (",".join(["0.5"] * 65), "not 65 numbers"),
        (",".join(["0.5"] * 63 + ["nan"]), "holds nan at position 63"),
        (",".join(["inf"] * 64), "holds inf at position 0"),
        ("one,two", "neither a .json file nor numbers"),
        ("", "neither a .json file nor numbers"),
        ("none.json", "none.json: no such file of a user vector"),
        ("[1]", "not 1 numbers"),
        ("[1, 2", "not valid JSON"),
        ('{"user": 1}', "flat list"),
        ('["a"]', "flat list"),
        (json.dumps([float("nan")] * 64), "not valid JSON: NaN is no number"),
        ("[" * 100_000, "not valid JSON: nested too deep"),
    ],
)
def test_bad_user_vectors(tiny, screen, tmp_path, command, user, message):
    if user[:1] in ("[", "{"):
        (tmp_path / "user.json").write_text(user)
        user = tmp_path / "user.json"
    before = tree(tmp_path)
    assert_refused(command("encode", tiny, screen, "--user", user, "--out", tmp_path / "out.npy"), message)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("arguments", [("encode", "IMG"), ("parity",), ("bench",)])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: cut(folder / "encoder.tflite"), "encoder.tflite: altered since its export: sha256"),
        (lambda folder: (folder / "encoder.tflite").unlink(), "encoder.tflite: the bundle's file is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "not a bundle: it has no manifest.json"),
        (lambda folder: cut(folder / "manifest.json"), "manifest.json: not valid JSON"),
        (
            lambda folder: change_manifest(folder, lambda m: m.update(schema_version=9)),
            "schema_version 9 is unknown",
        ),
        (
            lambda folder: change_manifest(folder, lambda m: m["files"].update({"../x": {}})),
            "plain name inside",
        ),
    ],
)
def test_bad_bundles(copied, screen, command, arguments, spoil, message):
    spoil(copied)
    before = tree(copied)
    name, *rest = (screen if argument == "IMG" else argument for argument in arguments)
    assert_refused(command(name, copied, *rest), message)
    assert tree(copied) == before


@pytest.mark.parametrize("out", ["none/out.npy", "out.txt"])
def test_a_place_that_cannot_be_written_is_refused_first(tiny, screen, tmp_path, command, out):
    before = tree(tmp_path)
    assert_refused(command("encode", tiny, screen, "--out", tmp_path / out), "--out", "must be a .npy file")
    assert tree(tmp_path) == before


def test_a_missing_engine_is_named_with_its_command(tiny, screen, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for arguments in (("encode", tiny, screen, "--engine", "onnx"), ("parity", tiny), ("bench", tiny)):
        assert_refused(command(*arguments), "'onnx' needs ONNX Runtime", "pip install")
