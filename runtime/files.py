"""Writes a file or a folder whole or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

PARTIAL = ".partial"
"""What the name of an unfinished file ends with: of a process that was killed, one stays."""


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

    Args:
        folder: Replaced where it is there. The folder that it lies in is made.

    Yields:
        The folder to fill.
    """
    partial = folder.with_name(f".{uuid4().hex}{PARTIAL}")
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
