"""Files and folders are written whole or not at all, once for a key, and the oldest are forgotten."""

import ctypes
import os
import subprocess
import sys

import pytest

from runtime.files import forget_oldest, make_once, whole_folder, write_atomically
from tests.conftest import ROOT


@pytest.mark.parametrize("content", [b"new", lambda stream: stream.write(b"new")])
def test_a_file_is_replaced(tmp_path, content):
    path = tmp_path / "file"
    for before in (None, b"old and longer"):
        if before:
            path.write_bytes(before)
        write_atomically(path, content)
        assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("stop", [OSError("disk full"), KeyboardInterrupt()])
def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path, stop):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def half(stream) -> None:
        stream.write(b"ne")
        raise stop

    with pytest.raises(type(stop)):
        write_atomically(path, half)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_way_stays_and_nothing_else_is_left(tmp_path):
    (tmp_path / "name").mkdir()
    with pytest.raises(OSError):
        write_atomically(tmp_path / "name", b"new")
    assert [path.name for path in tmp_path.rglob("*")] == ["name"]


def test_a_name_as_long_as_the_system_allows(tmp_path):
    write_atomically(tmp_path / ("x" * 255), b"new")
    assert (tmp_path / ("x" * 255)).read_bytes() == b"new"


READ_ON = """
import pathlib, sys
folder = pathlib.Path(sys.argv[1])
print("reads", flush=True)
while (text := (folder / "file").read_text()) != "99":
    pass
"""


def test_a_reader_finds_the_old_folder_or_the_new_one_at_any_moment(tmp_path):
    folder = tmp_path / "in" / "name"
    with whole_folder(folder) as partial:
        (partial / "file").write_text("first")
    command = [sys.executable, "-c", READ_ON, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
        reader.stdout.readline()
        for number in range(100):
            with whole_folder(folder) as partial:
                (partial / "file").write_text(str(number))
        assert reader.communicate(timeout=10)[1] == ""
    assert os.listdir(folder.parent) == ["name"] and os.listdir(folder) == ["file"]


@pytest.mark.parametrize("stop", [OSError("disk full"), KeyboardInterrupt()])
def test_a_folder_that_is_not_finished_leaves_the_old_one_and_nothing_else(tmp_path, stop):
    (tmp_path / "name").mkdir()
    (tmp_path / "name" / "old").touch()
    with pytest.raises(type(stop)), whole_folder(tmp_path / "name") as partial:
        (partial / "new").touch()
        raise stop
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["name", "old"]


def test_a_folder_is_replaced_where_the_system_cannot_exchange_two(tmp_path, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda *arguments, **options: object())
    for name in ("one", "two"):
        with whole_folder(tmp_path / "name") as partial:
            (partial / name).touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["name", "two"]


def test_a_folder_is_made_once_for_a_key(tmp_path):
    folder, calls = tmp_path / "name", []

    def make(key: str) -> None:
        make_once(folder, key, lambda partial: calls.append((key, os.listdir(partial))))

    for key in ("a", "a", "b", "b", "a"):
        make(key)
    assert calls == [("a", []), ("b", []), ("a", [])]
    (folder / ".made-from").write_bytes(b"\xff")
    make("a")
    assert len(calls) == 4 and os.listdir(tmp_path) == ["name"]


def test_a_folder_whose_making_was_killed_is_made_again(tmp_path):
    killed = (
        "import os, pathlib, signal, sys\nfrom runtime.files import make_once\n"
        "def make(partial):\n    (partial / 'half').touch()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "make_once(pathlib.Path(sys.argv[1]), 'key', make)"
    )
    assert subprocess.run([sys.executable, "-c", killed, str(tmp_path / "name")], cwd=ROOT).returncode < 0
    make_once(tmp_path / "name", "key", lambda partial: (partial / "whole").touch())
    assert sorted(os.listdir(tmp_path / "name")) == [".made-from", "whole"]


def test_what_was_not_touched_for_longest_is_forgotten(tmp_path):
    for time, name in enumerate(("old", "folder", "used", "new")):
        path = tmp_path / name
        if name == "folder":
            path.mkdir()
            (path / "file").touch()
        else:
            path.touch()
        os.utime(path, (time, time))
    os.utime(tmp_path / "used")
    forget_oldest([*tmp_path.iterdir(), tmp_path / "gone already"], keep=2)
    assert sorted(os.listdir(tmp_path)) == ["new", "used"]
    forget_oldest(tmp_path.iterdir(), keep=0)
    assert os.listdir(tmp_path) == []
