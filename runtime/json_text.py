"""The one reader of JSON from outside: configs, recipes, samples, manifests and user vectors.

Whatever a file holds, it becomes a value, or one error of the caller's own kind that says where and what is
wrong.
"""

import json
from pathlib import Path
from typing import Any, NoReturn

from .errors import InputError

MOST_QUOTED = 200
"""Characters of what was given that an error repeats."""


def read_json(path: Path, error: type[ValueError] = InputError, what: str = "file") -> Any:
    """Reads a JSON file in UTF-8.

    Args:
        path: The file.
        error: What is raised.
        what: How errors name the file, such as "config file".

    Raises:
        error: There is no such file, it cannot be read, or it is not JSON.
    """
    return parse_json(read_bytes(path, error, what), str(path), error)


def read_text(path: Path, error: type[ValueError] = InputError, what: str = "file") -> str:
    """Reads a text file in UTF-8, line ends as they are; arguments and errors are those of `read_json`."""
    return _decoded(read_bytes(path, error, what), str(path), error)


def read_bytes(path: Path, error: type[ValueError] = InputError, what: str = "file") -> bytes:
    """Reads a file as it is; arguments and errors are those of `read_json`."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise error(f"{path}: no such {what}") from None
    except OSError as cause:
        raise error(f"{path}: cannot be read: {cause.strerror or cause}") from cause


def parse_json(text: str | bytes, where: str, error: type[ValueError] = InputError) -> Any:
    """Parses JSON; NaN and Infinity, which JSON does not have, are refused.

    Args:
        text: The JSON; bytes are UTF-8.
        where: What an error begins with, such as the file's name and line.
        error: What is raised.

    Raises:
        error: The text is not JSON, or is nested too deep to be read.
    """
    text = _decoded(text, where, error) if isinstance(text, bytes) else text
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise error(f"{where}: not valid JSON: nested too deep") from None
    except ValueError as cause:
        raise error(f"{where}: not valid JSON: {quoted(str(cause), plain=True)}") from None


def quoted(value: object, *, plain: bool = False) -> str:
    """What was given, as an error repeats it: its first MOST_QUOTED characters.

    Args:
        value: Any value; large ones are not written out whole.
        plain: The value is text that needs no quotation marks.
    """
    try:
        text = str(value) if plain else repr(value)
    except (ValueError, RecursionError):  # an integer of more digits than Python writes, or endless nesting
        text = f"<{type(value).__name__}>"
    return text if len(text) <= MOST_QUOTED else text[: MOST_QUOTED - 3] + "..."


def _decoded(data: bytes, where: str, error: type[ValueError]) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise error(f"{where}: not UTF-8 at byte {cause.start}: save it as UTF-8") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
