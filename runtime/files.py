"""Writes a file or a folder whole or not at all; makes it once for a key, and forgets old ones."""

import ctypes
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

PARTIAL = ".partial"
"""What the name of an unfinished file ends with: of a process that was killed, one stays."""
STAMP = ".made-from"
"""Name of the file in which a folder made by `make_once` keeps its key."""


def write_atomically(path: str | os.PathLike, content: bytes | Callable[[IO[bytes]], object]) -> None:
    """Writes a file beside its place, then moves it there; readers see the old file or the new one.

    Nothing is forced to the disk: after a power cut, the new file may be empty.

    Args:
        path: The file, replaced where it is there. Its folder must exist.
        content: The bytes, or a function that writes them to a binary stream.

    Raises:
        OSError: It cannot be written. The old file is as it was, and nothing else is left behind, after any
            error.
    """
    path = Path(path)
    partial = path.with_name(f".{uuid4().hex}{PARTIAL}")
    try:
        with partial.open("xb") as stream:
            if callable(content):
                content(stream)
            else:
                stream.write(content)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Gives an empty folder, which takes the place of `folder` at the end; after an error it is removed.

    A reader sees the old folder or the new one. Of a process that was killed, `.NAME.*` stays beside it.

    Args:
        folder: Replaced where it is there. The folder that it lies in is made.

    Yields:
        The folder to fill.
    """
    partial = folder.with_name(f".{folder.name}.{uuid4().hex}{PARTIAL}")
    partial.mkdir(parents=True)
    try:
        yield partial
        _swap_in(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def make_once(folder: Path, key: str, make: Callable[[Path], object], stamp: str = STAMP) -> None:
    """Makes a folder whole, unless it was made for the same key; an interrupted one is made again.

    Args:
        folder: Replaced where it was made for another key.
        key: Stands for all that decides what is in it.
        make: Fills an empty folder.
        stamp: Name of the file in it that holds the key.
    """
    kept = folder / stamp
    if not kept.is_file() or kept.read_bytes() != key.encode():
        with whole_folder(folder) as partial:
            make(partial)
            (partial / stamp).write_bytes(key.encode())


def forget_oldest(paths: Iterable[Path], keep: int) -> None:
    """Removes files or folders but the `keep` that were changed last; what is used may be touched to stay."""
    found = []
    for path in paths:
        with suppress(FileNotFoundError):  # another process forgets too
            found.append((path.stat().st_mtime_ns, path))
    for _, path in sorted(found, reverse=True)[keep:]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _swap_in(new: Path, folder: Path) -> None:
    """Exchanges two folders in one call; where the system has none, the old one is moved aside first."""
    with suppress(OSError):
        new.rename(folder)  # nothing is there yet
        return
    if not _exchange(new, folder):
        aside = new.with_suffix(".old")
        folder.rename(aside)
        try:
            new.rename(folder)
        except OSError:
            aside.rename(folder)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Exchanges two paths by renameat2(2) with RENAME_EXCHANGE; False where the system has no such call."""
    at_working_directory, rename_exchange = -100, 2
    with suppress(OSError, AttributeError):
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        arguments = (at_working_directory, os.fsencode(first), at_working_directory, os.fsencode(second))
        return rename(*arguments, rename_exchange) == 0
    return False
