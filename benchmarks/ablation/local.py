"""Runs jobs side by side on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from benchmarks.ablation.jobs import Job, OnStep, Outcome, run_job, stop_all
from export.pipeline import WORKERS

OnDone = Callable[[Job, Outcome], None]


def default_jobs() -> int:
    """Returns how many exports this machine runs side by side: each keeps a few processes busy by itself."""
    return max(1, (os.cpu_count() or 1) // WORKERS)


def run_here(jobs: Sequence[Job], count: int, on_done: OnDone, on_step: OnStep) -> None:
    """Runs jobs, `count` at a time; tells of each as it ends. What is interrupted is stopped at once."""
    with ThreadPoolExecutor(count) as pool:
        waiting = {pool.submit(run_job, job, on_step): job for job in jobs}
        try:
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    on_done(waiting.pop(future), future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            raise
