"""Exports and measures one row in a process of its own: `python -m export.matrix.worker JOB`, JSON lines out.

A process a row, because a converter cannot be interrupted, may crash, and keeps its memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from encoder.config import EncoderConfig
from encoder.sources import committed_sources
from export.calibration import DEFAULT_FOLDER, load_samples
from export.pipeline import StepError, run
from export.quantize.plan import load_plan
from export.request import Request
from export.steps import STEPS, Step
from runtime.bench import measure_memory
from runtime.bundle import Bundle

STEP, ROW, ERROR = "step", "row", "error"
"""What a line says: a step that starts, the row's figures, or why there are none."""


def request_of(bundle: str, config: EncoderConfig, out: Path) -> Request:
    """Returns the export that a row asks for: committed screens, weights and plans, seed 0.

    Raises:
        PlanError, SampleError: what is committed cannot be used.
    """
    samples = tuple(load_samples(DEFAULT_FOLDER, config.user_embed_dim))
    plan = load_plan(bundle)
    sources = committed_sources(config)  # whatever the network gives: rows are compared with each other
    return Request(bundle, config, sources, 0, DEFAULT_FOLDER, samples, plan, out)


def main(arguments: list[str]) -> int:
    """Runs a job: JSON with `bundle`, `config`, `out` and `parent`; what happens is told line by line."""
    job = json.loads(arguments[0])
    _end_with(job["parent"])
    with _own_output() as lines:
        try:
            row = _measure(job["bundle"], EncoderConfig.from_dict(job["config"]), Path(job["out"]), lines)
        except (ValueError, OSError, StepError) as error:
            _say(lines, ERROR, str(error))
        else:
            _say(lines, ROW, row)
    return 0


def _measure(bundle: str, config: EncoderConfig, out: Path, lines: TextIO) -> dict[str, Any]:
    from export.matrix.figures import figures

    total, done = len(STEPS) + 1, 0

    def on_step(step: Step, state: str) -> None:
        nonlocal done
        done += state != "started"
        if state == "started":
            _say(lines, STEP, {"title": step.title, "done": done, "total": total})

    started = time.monotonic()
    manifest = run(request_of(bundle, config, out), on_step)
    seconds = time.monotonic() - started
    _say(lines, STEP, {"title": "memory", "done": total, "total": total})
    memory = measure_memory(Bundle.load(out))
    return figures(manifest, memory.private_bytes, seconds)


def _say(lines: TextIO, what: str, value: Any) -> None:
    print(json.dumps({what: value}), file=lines, flush=True)


@contextlib.contextmanager
def _own_output():
    """Keeps standard output for our lines alone: what engines print there goes to standard error."""
    with os.fdopen(os.dup(1), "w") as lines:
        os.dup2(2, 1)
        yield lines


def _end_with(parent: int) -> None:
    """Ends this process with the one that started it: half a row is of no use to anybody."""
    with contextlib.suppress(OSError, AttributeError):
        parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2), Linux only
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)  # it was gone before we could ask


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
