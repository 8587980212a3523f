"""One trial of a campaign of inputs: what came of it, and what was printed beside it."""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import IO

Trial = Callable[[random.Random, Path], None]
"""Makes an input from a random source and gives it to the code under test, with an empty folder at hand.

It returns where the result is right, raises RefusedError where the input was refused as it should be, and anything
else where there is a fault.
"""


class RefusedError(Exception):
    """The input was refused by an error of the right kind; the message is the line that a user reads."""


@contextmanager
def refusals(*kinds: type[Exception]):
    """Turns errors of the right kinds into RefusedError, once their message is one short line."""
    try:
        yield
    except kinds as error:
        message = str(error)
        if not message or "\n" in message or len(message) > 1000:
            raise AssertionError(f"{type(error).__name__} with a bad message: {message[:300]!r}") from error
        raise RefusedError(message) from error


def run_trials(trial: Trial, name: str, seed: int, first: int, count: int, results: IO[str]) -> None:
    """Runs trials in this process and writes a line of JSON for each, before and after it.

    What they write to standard error or output is a fault too, so both descriptors go to a file meanwhile.

    Args:
        trial: of the campaign.
        name: the campaign's.
        seed: of the campaign.
        first, count: numbers of the trials.
        results: where the lines go.
    """
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryDirectory() as folder:
        for descriptor in (1, 2):
            os.dup2(printed.fileno(), descriptor)
        for number in range(first, first + count):
            results.write(json.dumps({"began": number}) + "\n")
            results.flush()
            work = Path(folder) / str(number)
            work.mkdir()
            verdict, detail = _verdict(trial, random.Random(f"{name}/{seed}/{number}"), work)
            sys.stdout.flush()
            sys.stderr.flush()
            if os.fstat(printed.fileno()).st_size:
                printed.seek(0)
                said = printed.read().decode(errors="replace")
                verdict, detail = "fault", f"{detail} printed: {said[:300]!r}"
                printed.truncate(0)
                printed.seek(0)
            results.write(json.dumps({"number": number, "verdict": verdict, "detail": detail}) + "\n")
        results.flush()


def _verdict(trial: Trial, chooser: random.Random, work: Path) -> tuple[str, str]:
    try:
        trial(chooser, work)
    except RefusedError as error:
        return "refused", str(error)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return (
            "fault",
            f"{type(error).__name__}: {str(error)[:300]} ({Path(place.filename).name}:{place.lineno})",
        )
    return "clean", ""
