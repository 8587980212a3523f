"""Runs jobs as Ray tasks: on a Ray of its own on this machine, or on a cluster of many."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.ablation.jobs import Job, Outcome, run_job
from benchmarks.ablation.local import OnDone
from evaluation.arm64.toolchain import CACHE_VARIABLE
from export.pipeline import WORKERS
from export.request import ROOT
from runtime.errors import InputError

LOCAL = "local"
"""The address that starts a Ray of its own."""
RETRIES = 3
"""Times that Ray runs a task again whose worker died; a row that fails by itself is not tried again."""
CONNECT_S = 5.0
_STORE_BYTES = 80_000_000  # tasks exchange a few kilobytes; Ray would set a third of the memory aside


class ClusterError(InputError):
    """Ray is not installed or the cluster does not answer; the message says what to do."""


def run_on_ray(
    jobs: Sequence[Job],
    address: str,
    count: int,
    on_done: OnDone,
    task: Callable[[Job], Outcome] = run_job,
) -> None:
    """Runs jobs as tasks; tells of each as it ends.

    Args:
        jobs: what to run.
        address: HOST:PORT of a cluster, or LOCAL. A cluster gets the code of this checkout; each of its
            machines needs the Python packages, and the emulator in POCKET_ARM64_CACHE.
        count: tasks side by side, where Ray is local; a cluster's processors decide elsewhere.
        on_done: called with a job and its outcome.
        task: what a worker does with a job.

    Raises:
        ClusterError: Ray is not installed, or no cluster answers at the address.
    """
    # Ray leaves the files of its sessions behind; its sockets need a short path.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        _run(_connect(address, count, folder), jobs, address, on_done, task)


def _run(
    ray: Any, jobs: Sequence[Job], address: str, on_done: OnDone, task: Callable[[Job], Outcome]
) -> None:
    try:
        cores = 1 if address == LOCAL else WORKERS
        remote = ray.remote(task).options(num_cpus=cores, max_retries=RETRIES)
        waiting = {remote.remote(job): job for job in jobs}
        while waiting:
            done, _ = ray.wait(list(waiting), num_returns=1)
            on_done(waiting.pop(done[0]), _outcome(ray, done[0]))
    finally:
        ray.shutdown()


def _outcome(ray: Any, reference: Any) -> Outcome:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error  # what the task raised, without Ray's account of it
        return Outcome(None, f"Ray: {type(cause).__name__}: {' '.join(str(cause).split())[:200]}")


def _connect(address: str, count: int, folder: str) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    try:
        import ray
    except ImportError as error:
        raise ClusterError("--ray needs Ray, which is not installed: pip install '.[cluster]'") from error
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    variables = {name: os.environ[name] for name in (CACHE_VARIABLE, "POCKET_CACHE") if name in os.environ}
    if address == LOCAL:
        ray.init(
            address=LOCAL, num_cpus=count, include_dashboard=False, object_store_memory=_STORE_BYTES,
            _temp_dir=folder,
            runtime_env={"env_vars": {"PYTHONPATH": str(ROOT), **variables}}, **quiet,
        )  # fmt: skip
        return ray
    _check_address(address)
    try:
        ray.init(address=address, runtime_env={"working_dir": str(ROOT), "env_vars": variables}, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"--ray {address}: no Ray cluster lets us in ({error}); is RAY_AUTH_TOKEN the cluster's own?"
        ) from error
    return ray


def _check_address(address: str) -> None:
    """Asks once: Ray's own client would try for a minute."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ClusterError(f"--ray {address}: must be HOST:PORT of a Ray cluster, or nothing for a local one")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except OSError as error:
        raise ClusterError(
            f"--ray {address}: nothing answers there ({error}); start it with ray start --head"
        ) from error
