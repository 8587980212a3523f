"""Files are written whole or not at all."""

import pytest

from runtime.files import write_atomically


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
