"""Rows as jobs: what decides a row's figures, the figures kept on disk, and how one job is run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ablation import worker
from benchmarks.ablation.rows import Row
from evaluation import arm64
from evaluation.arm64.toolchain import CACHE_VARIABLE, cache_dir
from evaluation.sources import ROOT, sources_digest
from export.pipeline import step_sources_digest
from export.request import digest, tool_versions
from export.steps.table import STEPS
from runtime.files import write_atomically

CACHE = Path(os.environ.get("POCKET_CACHE") or ROOT / "build").absolute() / "ablation"
_FURTHER = ("benchmarks.ablation.figures", "evaluation.budgets", "runtime.bench", "export.bundle")
"""Modules that decide a row's figures beside the export's steps."""
_LONGEST = 300
_running: set[subprocess.Popen] = set()

OnStep = Callable[[str, str], None]
"""Called with a row's name and what it is at."""


@dataclass(frozen=True)
class Job:
    """A row to export, in a form that travels to other machines.

    Attributes:
        name: the row's.
        bundle: name of the exported bundle.
        config: keys of the encoder's config.
        digest: over everything that decides the figures: config, plan, weights, screens, code and tools.
    """

    name: str
    bundle: str
    config: dict[str, Any]
    digest: str


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its figures, or the one line that says why there are none."""

    figures: dict[str, Any] | None
    error: str = ""


def make_job(row: Row) -> Job:
    """Returns a row's job.

    Raises:
        RecipeError, SampleError: what is committed cannot be used.
    """
    inputs = worker.request_of(row.bundle, row.config, CACHE).inputs()
    code = step_sources_digest(*STEPS), sources_digest(*_FURTHER)
    key = digest(row.bundle, inputs, code, tool_versions())
    return Job(row.name, row.bundle, row.config.to_dict(), key[:24])


def load(job: Job) -> dict[str, Any] | None:
    """Returns the figures that an equal job found before; None where there are none.

    Figures without instructions are of no use where the emulator is there to count them.
    """
    try:
        kept = json.loads(_path(job).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(kept, dict) or kept.get("digest") != job.digest:
        return None
    return None if kept["figures"]["not_counted"] and arm64.available() else kept["figures"]


def store(job: Job, figures: dict[str, Any]) -> None:
    """Keeps a job's figures."""
    path = _path(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {"digest": job.digest, "name": job.name, "figures": figures}
    write_atomically(path, (json.dumps(kept, indent=1) + "\n").encode())


def _path(job: Job) -> Path:
    return CACHE / "rows" / f"{job.digest}.json"


def run_job(job: Job, on_step: OnStep = lambda name, what: None) -> Outcome:
    """Exports and measures a row from an empty cache, in a process of its own that ends with this one.

    A job that fails leaves its log in the cache's folder `logs`.
    """
    (CACHE / "work").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f"{job.bundle}.", dir=CACHE / "work", ignore_cleanup_errors=True
    ) as folder:
        work = Path(folder)
        environment = os.environ | {"POCKET_CACHE": str(work), CACHE_VARIABLE: str(cache_dir())}
        told = {
            "bundle": job.bundle,
            "config": job.config,
            "out": str(work / "bundle"),
            "parent": os.getpid(),
        }
        command = [sys.executable, "-m", "benchmarks.ablation.worker", json.dumps(told)]
        with open(work / "worker.log", "w") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True,
                start_new_session=True,
            )  # fmt: skip
            _running.add(process)
            try:
                outcome = _listen(job, process, on_step)
            finally:
                _end(process)
                _running.discard(process)
        if outcome is None:
            outcome = Outcome(None, _ending(process.returncode, work / "worker.log"))
        if outcome.error:
            _keep_log(job, work)
        return outcome


def stop_all() -> None:
    """Ends every worker of this process."""
    for process in list(_running):
        _end(process)


def sweep() -> None:
    """Removes what killed jobs left behind; only where no other ablation is at work in this cache."""
    shutil.rmtree(CACHE / "work", ignore_errors=True)


def _listen(job: Job, process: subprocess.Popen, on_step: OnStep) -> Outcome | None:
    """Follows a worker's lines to the last; None where it ended without saying what it found."""
    outcome = None
    for line in process.stdout:
        said = json.loads(line)
        if worker.STEP in said:
            step = said[worker.STEP]
            on_step(job.name, f"{step['title']} ({step['done']}/{step['total']})")
        elif worker.ROW in said:
            outcome = Outcome(said[worker.ROW])
        else:
            outcome = Outcome(None, _one_line(said[worker.ERROR]))
    process.wait()
    return outcome


def _end(process: subprocess.Popen) -> None:
    """Ends a worker that is still at work, or was killed, with all that it started."""
    if process.poll() != 0:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ending(code: int, log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    ended = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
    return _one_line(f"{ended}: {lines[-1]}" if lines else ended)


def _one_line(text: str) -> str:
    said = " ".join(text.replace(f"{ROOT}/", "").split())
    return said if len(said) <= _LONGEST else said[: _LONGEST - 3] + "..."


def _keep_log(job: Job, work: Path) -> None:
    logs = CACHE / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with open(logs / f"{job.bundle}.log", "w") as kept:
        for path in (work / "worker.log", work / "export" / "tools.log"):
            if path.is_file():
                kept.write(path.read_text(errors="replace"))
