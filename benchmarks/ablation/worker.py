"""One row, exported and measured: `python -m benchmarks.ablation.worker JOB`, JSON lines out.

A process a row, because a converter cannot be interrupted, may crash, and keeps its memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from encoder.config import EncoderConfig
from encoder.sources import committed_sources
from evaluation import arm64
from export.calibration import DEFAULT_FOLDER, load_samples
from export.pipeline import StepError, export_bundle
from export.quantize.recipe import load_recipe
from export.request import Request
from export.steps.table import STEPS, Step
from runtime.processes import end_with_parent

STEP, ROW, ERROR = "step", "row", "error"
"""What a line says: a step that starts, the row's figures, or why there are none."""


def request_of(bundle: str, config: EncoderConfig, out: Path) -> Request:
    """Returns the export that a row asks for: committed screens, weights and plans, seed 0.

    Raises:
        RecipeError, SampleError: what is committed cannot be used.
    """
    samples = tuple(load_samples(DEFAULT_FOLDER, config.user_embed_dim))
    plan = load_recipe(bundle)
    sources = committed_sources(config)  # whatever the network gives: rows are compared with each other
    return Request(bundle, config, sources, 0, DEFAULT_FOLDER, samples, plan, out)


def main(arguments: list[str]) -> int:
    """Runs a job: JSON with `bundle`, `config`, `out` and `parent`; what happens is told line by line."""
    job = json.loads(arguments[0])
    end_with_parent(job["parent"])
    with _own_output() as lines:
        try:
            row = _measure(job["bundle"], EncoderConfig.from_dict(job["config"]), Path(job["out"]), lines)
        except (ValueError, OSError, StepError) as error:
            _say(lines, ERROR, str(error))
        else:
            _say(lines, ROW, row)
    return 0


def _measure(bundle: str, config: EncoderConfig, out: Path, lines: TextIO) -> dict[str, Any]:
    from benchmarks.ablation.figures import figures

    total, done = len(STEPS) + 1, 0

    def on_step(step: Step, state: str) -> None:
        nonlocal done
        done += state != "started"
        if state == "started":
            _say(lines, STEP, {"title": step.title, "done": done, "total": total})

    started = time.monotonic()
    manifest = export_bundle(request_of(bundle, config, out), on_step, emulate=bool(arm64.available()))
    return figures(manifest, time.monotonic() - started)


def _say(lines: TextIO, what: str, value: Any) -> None:
    print(json.dumps({what: value}), file=lines, flush=True)


@contextlib.contextmanager
def _own_output():
    """Keeps standard output for our lines alone: what engines print there goes to standard error."""
    with os.fdopen(os.dup(1), "w") as lines:
        os.dup2(2, 1)
        yield lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
