"""Fills the ablation: rows from the cache, and the others run side by side, here or as Ray tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from filelock import FileLock, Timeout

from benchmarks.ablation import jobs as work
from benchmarks.ablation.jobs import Job, OnStep, Outcome
from benchmarks.ablation.results import Result
from benchmarks.ablation.rows import Row
from runtime.errors import InputError

Run = Callable[[Sequence[Job], Callable[[Job, Outcome], None], OnStep], None]
"""Runs jobs; tells of each as it ends, and of the steps in between where it can."""
OnProgress = Callable[[int, int, str], None]


def measure(rows: Sequence[Row], run: Run, on_progress: OnProgress) -> list[Result]:
    """Measures rows; a row that fails keeps its error and does not stop the others.

    Figures are kept as each row ends, so an interrupted ablation goes on from there. Failed rows run again.

    Args:
        rows: what to measure.
        run: runs the jobs whose figures are not known.
        on_progress: called with rows done, rows in all, and what runs.

    Raises:
        InputError: another ablation is at work, or something committed cannot be used.
    """
    with _alone():
        by_name = {row.name: row for row in rows}
        made = {name: work.make_job(row) for name, row in by_name.items()}
        found = {name: Outcome(work.load(job)) for name, job in made.items()}
        waiting = [made[name] for name, outcome in found.items() if outcome.figures is None]

        def on_step(name: str, what: str) -> None:
            on_progress(len(rows) - len(waiting) + ended, len(rows), f"{name}: {what}")

        def on_done(job: Job, outcome: Outcome) -> None:
            nonlocal ended
            if outcome.figures is not None and _is_current(job, by_name[job.name]):
                work.store(job, outcome.figures)
            found[job.name], ended = outcome, ended + 1
            on_step(job.name, outcome.error or "done")

        ended = 0
        if waiting:
            run(waiting, on_done, on_step)
        return [_result(row, made[row.name], found[row.name]) for row in rows]


def _is_current(job: Job, row: Row) -> bool:
    """Whether nothing that decides the figures was edited while the job ran."""
    try:
        return work.make_job(row) == job
    except (ValueError, OSError):
        return False


def complete(rows: Sequence[Row], measured: Sequence[Result], committed: Sequence[Result]) -> list[Result]:
    """Returns a result for every row: as measured now, else as cached, else as committed for the same config.

    What is neither says so; what was committed by other code, weights or screens is marked stale.
    """
    new = {result.name: result for result in measured}
    old = {result.name: result for result in committed if result.figures is not None}
    return [new.get(row.name) or _known(row, old.get(row.name)) for row in rows]


def _known(row: Row, old: Result | None) -> Result:
    job = work.make_job(row)
    figures = work.load(job)
    if figures is not None or old is None or old.config != job.config:
        return _result(row, job, Outcome(figures, "" if figures else "not measured"))
    stale = old.digest != job.digest
    return Result(row.name, row.kind, row.also, job.config, old.digest, old.figures, stale=stale)


def _result(row: Row, job: Job, outcome: Outcome) -> Result:
    digest = "" if outcome.figures is None else job.digest
    return Result(row.name, row.kind, row.also, job.config, digest, outcome.figures, outcome.error)


@contextmanager
def _alone() -> Iterator[None]:
    """Lets one ablation at a time use the cache, and removes what a killed one left there."""
    try:
        lock = FileLock(work.CACHE / "lock").acquire(blocking=False)
    except Timeout:
        raise InputError(f"{work.CACHE}: another ablation is at work there; wait until it ends") from None
    with lock:
        work.sweep()
        yield
