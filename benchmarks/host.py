"""Measures files on this host: each row in fresh processes, the rows' times taken in turn."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.processes import ROOT, last_line, python_of, quiet_environment
from runtime import parity
from runtime.bundle import Bundle
from runtime.errors import InputError
from runtime.parity import GOLDEN

PROCESSES = 3
ROUNDS, RUNS = 15, 6


class RowError(InputError):
    """A row's files do not run; the message is the last line of what their engine said."""


@dataclass(frozen=True)
class HostFigures:
    """What one row's files do on this host.

    Attributes:
        load_ms: opening the files, median of fresh processes.
        private_bytes: private memory that opening and running adds, median of the same; None where the system
            does not tell.
        cosine_min, cosine_mean, mean_centred_cosine_min: of the golden samples' embeddings with PyTorch's.
    """

    load_ms: float
    private_bytes: int | None
    cosine_min: float
    cosine_mean: float
    mean_centred_cosine_min: float


class Session:
    """One row's files, opened in a process that waits for requests."""

    def __init__(self, bundle: Bundle, paths: Mapping[str, Path], environment: Path | None) -> None:
        request = {
            "paths": {part: str(path) for part, path in paths.items()},
            "tensors": bundle.tensors,
            "golden": str(bundle.file(GOLDEN).absolute()),
            "cpu": max(os.sched_getaffinity(0)),
        }
        command = [python_of(environment), "-m", "benchmarks.host_worker", json.dumps(request)]
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=quiet_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        try:
            self.cold = self._answer()
        except BaseException:
            self.close()
            raise

    def ask(self, **request):
        """Sends a request and returns its answer.

        Raises:
            RowError: the process ended instead.
        """
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; the missing answer says why
        return self._answer()

    def _answer(self):
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        code = self._process.wait()
        self._log.seek(0)
        raise RowError(last_line(self._log.read(), code))

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()
        self._log.close()


def measure(session_of: Callable[[], Session], golden: np.ndarray) -> tuple[Session, HostFigures]:
    """Opens files in fresh processes and compares their embeddings with PyTorch's.

    Args:
        session_of: opens one.
        golden: PyTorch's embeddings, [N, 256].

    Returns:
        The last session, left open for `take_turns`, and the figures.

    Raises:
        RowError: the files do not run here.
    """
    cold = []
    for _ in range(PROCESSES - 1):
        session = session_of()
        cold.append(session.cold)
        session.close()
    session = session_of()
    try:
        cold.append(session.cold)
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "embeddings.npy"
            session.ask(outputs=str(path))
            compared = parity.compare(np.load(path, allow_pickle=False), golden)
    except BaseException:
        session.close()
        raise
    private = [figures["private_bytes"] for figures in cold]
    return session, HostFigures(
        load_ms=median(figures["load_ms"] for figures in cold),
        private_bytes=None if None in private else int(median(private)),
        **{key: compared[key] for key in ("cosine_min", "cosine_mean", "mean_centred_cosine_min")},
    )


def take_turns(
    sessions: Mapping[str, Session], reference: str, on_round: Callable[[], None] = lambda: None
) -> dict[str, tuple[float, float] | str]:
    """Times whole encodes in rounds, every row once a round.

    Args:
        sessions: by row.
        reference: the row that the others are divided by.
        on_round: called after each round.

    Returns:
        By row the median milliseconds, and the median over rounds of its ratio to the reference; or, where a
        row stopped, what it said.
    """
    times: dict[str, list[float]] = {name: [] for name in sessions}
    failed: dict[str, str] = {}
    for number in range(ROUNDS):
        names = list(sessions)
        for name in names[number % len(names) :] + names[: number % len(names)]:  # none always comes first
            if name not in failed:
                try:
                    times[name].append(median(sessions[name].ask(runs=RUNS)))
                except RowError as error:
                    failed[name] = str(error)
        on_round()
    base = times[reference]
    return {
        name: failed.get(name) or (median(own), median(a / b for a, b in zip(own, base, strict=False)))
        for name, own in times.items()
    }
