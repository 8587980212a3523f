"""A part of a document that a command writes: what stands between two marks. The rest is written by hand."""

from __future__ import annotations

from pathlib import Path

from runtime.errors import InputError
from runtime.files import write_atomically


def marks(name: str, command: str) -> tuple[str, str]:
    """Returns the lines that a part stands between."""
    return f"<!-- {name}: written by {command} -->", f"<!-- end of {name} -->"


def around(path: Path, between: tuple[str, str]) -> tuple[str, str]:
    """Returns the text before and after a part, marks included.

    Raises:
        InputError: the marks do not stand in the document once, in this order.
    """
    (begin, end), text = between, path.read_text(encoding="utf-8")
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise InputError(f"{path}: the lines {begin} and {end} must stand there once, in this order")
    return text[: text.index(begin) + len(begin)], text[text.index(end) :]


def replace(path: Path, between: tuple[str, str], part: str) -> None:
    """Replaces a part.

    Raises:
        InputError: as `around`.
    """
    before, after = around(path, between)
    write_atomically(path, f"{before}\n\n{part.rstrip()}\n{after}".encode())
