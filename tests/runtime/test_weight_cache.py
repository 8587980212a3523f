"""Packed weights in a file: the same bits as without, and no file is ever believed."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runtime import ScreenEncoder, litert_c, weight_cache
from runtime.bundle import PRECISIONS
from runtime.engines import EngineError, open_model
from runtime.weight_cache import packed_weights

ROOT = Path(__file__).parents[2]
SHARED_WEIGHTS = ROOT / "tests" / "data" / "shared_weights.tflite"
needs_files = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no memory files")


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cache" / "weights"


@pytest.fixture
def encode(tiny, screen):
    """Embeds a screen with a newly opened encoder."""

    def run(folder: Path | bool, bundle: Path = tiny, precision: str = "int8") -> bytes:
        encoder = ScreenEncoder.load(bundle, precision=precision, weight_cache=folder)
        return encoder.encode(screen, "see you at").tobytes()

    return run


def mapped(folder: Path) -> bool:
    return str(folder) in Path("/proc/self/maps").read_text()


@needs_files
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_embedding_is_the_same_to_the_bit(encode, folder, precision):
    expected = encode(False, precision=precision)
    assert not mapped(folder)
    assert encode(folder, precision=precision) == expected, "the start that packs"
    [file] = folder.iterdir()
    assert file.stat().st_size > 0 and folder.stat().st_mode & 0o077 == 0
    made = file.stat().st_ino
    assert encode(folder, precision=precision) == expected, "a later start"
    assert [path.stat().st_ino for path in folder.iterdir()] == [made]


@needs_files
def test_the_weights_are_mapped_and_let_go(tiny, folder):
    model = open_model(tiny / "encoder.tflite", weight_cache=folder)
    assert mapped(folder)
    del model
    assert not mapped(folder)


@needs_files
@pytest.mark.parametrize("damage", ["bit", "short", "long", "empty", "other"])
def test_a_damaged_file_is_made_anew(encode, folder, damage):
    expected = encode(folder)
    [file] = folder.iterdir()
    sound = file.read_bytes()
    bit = bytes([*sound[:-100], sound[-100] ^ 1, *sound[-99:]])
    damaged = {
        "bit": bit,
        "short": sound[:500],
        "long": sound + b"\0",
        "empty": b"",
        "other": b"x" * len(sound),
    }
    file.write_bytes(damaged[damage])
    assert encode(folder) == expected
    assert [path.read_bytes() for path in folder.iterdir()] == [sound]


@needs_files
def test_a_file_that_only_the_engine_refuses_is_replaced(encode, folder):
    expected = encode(folder)
    [file] = folder.iterdir()
    sound = file.read_bytes()
    foreign = bytes([99, *sound[1:]])  # of another version of the engine, which its first number is
    key, digest = file.stem.split("-")[0], hashlib.sha256(foreign).hexdigest()
    file.unlink()
    (folder / f"{key}-{digest}.weights").write_bytes(foreign)
    for _ in range(2):
        assert encode(folder) == expected
    assert [path.read_bytes() for path in folder.iterdir()] == [sound]


@needs_files
def test_each_model_has_its_own_file(encode, folder, copied):
    expected = {precision: encode(False, precision=precision) for precision in PRECISIONS}
    for _ in range(2):
        assert {precision: encode(folder, copied, precision) for precision in PRECISIONS} == expected
    assert len(list(folder.iterdir())) == 2


@needs_files
def test_another_engine_or_cpu_packs_anew(tiny, folder, monkeypatch):
    packed = []

    def build(descriptor: int) -> bool:
        packed.append(os.write(descriptor, b"weights"))
        return True

    def find(engine: str) -> bytes:
        descriptor = packed_weights(tiny / "encoder.tflite", engine, folder, build)
        with open(descriptor, "rb") as stream:
            return stream.read()

    assert [find("litert 1"), find("litert 1"), find("litert 2")] == [b"weights"] * 3 and len(packed) == 2
    monkeypatch.setattr(weight_cache, "_cpu", lambda: ["flags : none"])
    assert find("litert 1") == b"weights" and len(packed) == 3


@needs_files
def test_a_model_that_computes_something_else_with_packed_weights_runs_without(folder):
    arrays = {"x": np.arange(16, dtype=np.int8)[None]}
    expected = open_model(SHARED_WEIGHTS).run("main", arrays)
    for _ in range(2):
        model = open_model(SHARED_WEIGHTS, weight_cache=folder)
        assert not mapped(folder)
        for name, array in model.run("main", arrays).items():
            assert np.array_equal(array, expected[name])
        [marker] = folder.iterdir()
        assert marker.stat().st_size == 0, "remembered, so that the next start does not try again"


def test_a_folder_that_cannot_be_made_does_no_harm(encode, tmp_path):
    (tmp_path / "file").write_text("")
    assert encode(tmp_path / "file" / "weights") == encode(False)
    assert [path.name for path in tmp_path.iterdir() if path.name != "screen.png"] == ["file"]


@needs_files
def test_a_full_disk_does_no_harm_and_leaves_nothing(encode, folder, monkeypatch):
    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", fail)
    assert encode(folder) == encode(False)
    assert not list(folder.iterdir())


@needs_files
def test_a_read_only_folder_is_used(encode, folder):
    expected = encode(folder)
    [file] = folder.iterdir()
    file.chmod(0o400)
    folder.chmod(0o500)
    assert encode(folder) == expected
    folder.chmod(0o700)


@needs_files
def test_a_link_is_not_followed(encode, folder, tmp_path):
    expected = encode(folder)
    [file] = folder.iterdir()
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes(b"x")
    assert encode(folder) == expected
    assert (tmp_path / "elsewhere").read_bytes() == b"x"


@needs_files
def test_what_was_not_used_for_long_is_dropped(encode, folder, monkeypatch):
    encode(folder, precision="fp32")
    [old] = folder.iterdir()
    encode(folder)
    assert len(list(folder.iterdir())) == 2
    [new] = set(folder.iterdir()) - {old}
    monkeypatch.setattr(weight_cache, "KEPT_BYTES", old.stat().st_size + new.stat().st_size - 1)
    new.unlink()
    os.utime(old, (0, 0))
    encode(folder)
    assert [path.name for path in folder.iterdir()] == [new.name]


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("POCKET_WEIGHT_CACHE", str(tmp_path))
    assert weight_cache.default_folder() == tmp_path
    monkeypatch.setenv("POCKET_WEIGHT_CACHE", "")
    assert weight_cache.default_folder() is None
    monkeypatch.delenv("POCKET_WEIGHT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert weight_cache.default_folder() == tmp_path / "caches" / "pocket-encoder"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weight_cache.default_folder() == tmp_path / ".cache" / "pocket-encoder"


@needs_files
def test_processes_that_start_at_once_agree(tiny, folder, encode):
    script = (
        "import sys, numpy as np\nfrom runtime import ScreenEncoder\n"
        "encoder = ScreenEncoder.load(sys.argv[1], weight_cache=sys.argv[2])\n"
        "print(encoder.encode(np.zeros((9, 9, 3), np.uint8), 'see').tobytes().hex())"
    )
    command = [sys.executable, "-c", script, tiny, folder]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    printed = {process.communicate()[0] for process in started}
    assert len(printed) == 1 and all(process.returncode == 0 for process in started)
    assert [path.suffix for path in folder.iterdir()] == [".weights"]


def test_an_unknown_version_of_the_engine_runs_in_the_interpreter(encode, folder, monkeypatch):
    expected = encode(False)
    litert_c.open_library.cache_clear()
    monkeypatch.setattr(litert_c, "TESTED", ())
    try:
        assert encode(folder) == expected
    finally:
        litert_c.open_library.cache_clear()
    assert not folder.exists()


def test_a_model_that_cannot_be_opened_leaves_no_file(tmp_path, folder):
    (tmp_path / "encoder.tflite").write_bytes(b"not a model" * 100)
    with pytest.raises(EngineError, match="cannot open it"):
        open_model(tmp_path / "encoder.tflite", weight_cache=folder)
    assert not folder.exists()
