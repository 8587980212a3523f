"""What goes to a terminal without rich: plain tables, progress, and an engine that is kept quiet."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

from .errors import InputError


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Lines up columns; the first `left` to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def bar(share: float, width: int = 24) -> str:
    """A share of the width, at least none of it and at most all."""
    filled = round(width * min(max(share, 0.0), 1.0))
    return "#" * filled + "." * (width - filled)


class Progress:
    """A line on a terminal that says how far a measurement is; nothing where there is no terminal."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream if stream.isatty() else None

    def __call__(self, done: int, total: int, what: str) -> None:
        """Shows `done` of `total` steps."""
        if self._stream:
            self._stream.write(f"\r\033[K[{bar(done / max(total, 1))}] {done}/{total}  {what}")
            self._stream.flush()

    def close(self) -> None:
        """Clears the line."""
        if self._stream:
            self._stream.write("\r\033[K")
            self._stream.flush()


@contextlib.contextmanager
def quiet_engine() -> Iterator[IO[str]]:
    """Keeps what an engine writes to standard error away from the terminal, unless it fails.

    Engines write there from C++, so the file descriptor itself is turned away; only a command line, which
    owns the process, may do that.

    Yields:
        The real standard error, for progress.
    """
    sys.stderr.flush()
    own = os.dup(2)
    with tempfile.TemporaryFile() as captured, os.fdopen(own, "w") as stream:
        os.dup2(captured.fileno(), 2)
        try:
            yield stream
        except (InputError, OSError, KeyboardInterrupt):
            raise  # told in one line of our own
        except BaseException:
            captured.seek(0)
            os.write(own, captured.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(own, 2)


@contextlib.contextmanager
def measuring() -> Iterator[Progress]:
    """As `quiet_engine`, for a measurement: yields its progress line, which is cleared at the end."""
    with quiet_engine() as stderr:
        progress = Progress(stderr)
        try:
            yield progress
        finally:
            progress.close()
