"""Measures a bundle on emulated phones: what to run where, side by side, the unchanged taken from disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from evaluation.arm64 import results
from evaluation.arm64.emulator import Failure, TargetFile, stop_all
from evaluation.arm64.profiles import Profile, choose
from evaluation.arm64.report import (
    SHIPPED,
    Arm64Report,
    OperatorCost,
    ParityRow,
    SignatureCost,
    group_counts,
    sum_operators,
)
from evaluation.arm64.runs import Inputs, Job, key_of, run_jobs
from evaluation.arm64.toolchain import Toolchain, cache_dir, open_toolchain
from runtime.bundle import ENGINES, PRECISIONS, Bundle, select_files
from runtime.parity import GOLDEN, load_golden

_FEW_ROWS = 2
_MOST_INSNS = 1_250_000_000  # of the shipped model's rows on the target: all of those up to 39 M each
_MOST_INSNS_ELSEWHERE = 200_000_000  # both rows of such an encoder, where a core lacks the dot product
_FEWEST_ROWS = 4  # of the shipped model on the target, however heavy it is
_MOST_WORKERS = 4
_ORDER = ("vision", "text", "fuse", "encode")  # fuse runs again on the tokens of the two before

OnProgress = Callable[[int, int, str], None]


def measure(
    bundle: Bundle | str | os.PathLike,
    profiles: Iterable[str] | None = None,
    models: Iterable[tuple[str, str]] | None = None,
    *,
    toolchain: Toolchain | None = None,
    progress: OnProgress = lambda done, total, what: None,
) -> Arm64Report:
    """Counts, times and checks a bundle's models on emulated ARM64 cores.

    Args:
        bundle: The bundle, or its folder.
        profiles: Names from profiles.toml; the first one's latency decides; None = all, the default first.
        models: (engine, precision) pairs; None = all four. The shipped one is ("tflite", "int8").
        toolchain: A verified emulator, if the caller has one.
        progress: Called with runs done, runs in all, and what runs; possibly from other threads.

    Raises:
        Arm64Error: An unknown profile, or the emulator is not set up (SetupError).
        BundleError: The bundle is missing, incomplete or altered, or its manifest has no limits.
    """
    chosen = choose(profiles)
    if not isinstance(bundle, Bundle):
        bundle = Bundle.load(bundle)
    bundle.require("preset", "limits.latency_ms", "limits.parity")
    limits = bundle.manifest["limits"]
    golden = load_golden(bundle.file(GOLDEN), bundle.tensors)
    pairs = [(e, p) for e in ENGINES for p in PRECISIONS] if models is None else list(models)
    jobs = [
        _job(bundle, e, p, profile, chosen[0], len(golden["image"])) for profile in chosen for e, p in pairs
    ]
    emulator = toolchain or open_toolchain()
    found = _run_all(jobs, Inputs(bundle, golden, limits["parity"], emulator), progress)
    return Arm64Report(
        preset=bundle.manifest["preset"],
        profiles=tuple(chosen),
        latency_limit_ms=float(limits["latency_ms"]),
        versions=emulator.versions,
        costs=tuple(_costs(jobs, found)),
        operators=tuple(_operators(jobs, found, chosen[0])),
        parity=tuple(_parity(found)),
        failures=tuple(_failures(found)),
    )


def _job(bundle: Bundle, engine: str, precision: str, profile: Profile, target: Profile, samples: int) -> Job:
    """The shipped model runs every golden row on the target; elsewhere a few, evenly spread, are enough."""
    shipped, on_target = (engine, precision) == SHIPPED, profile == target
    alone = shipped and on_target
    wanted = samples if alone else min(samples, _FEW_ROWS if shipped or on_target else 1)
    rows = tuple(int(row) for row in np.linspace(0, samples - 1, wanted).round())
    served: dict[str, list[str]] = {}
    for signature, name in select_files(bundle.files, engine, precision).items():
        served.setdefault(name, []).append(signature)
    files = tuple(
        TargetFile(
            bundle.file(name), tuple(s for s in _ORDER if s in signatures), rows,
            group=f"{engine}_{precision}", samples=2 if alone else 1, operators=alone,
            most_insns=(_MOST_INSNS if on_target else _MOST_INSNS_ELSEWHERE) if shipped else 0,
            fewest_rows=_FEWEST_ROWS if alone else 1,
        )
        for name, signatures in sorted(served.items(), key=lambda item: _ORDER.index(item[1][0]))
    )  # fmt: skip
    return Job(engine, precision, profile, files, alone)


def _run_all(jobs: list[Job], inputs: Inputs, progress: OnProgress) -> list[dict[str, Any]]:
    """Returns the jobs' values, in their order: those on disk, and the others from targets side by side."""
    total, done, lock = sum(job.runs for job in jobs), 0, threading.Lock()

    def advance(runs: int, what: str) -> None:
        nonlocal done
        with lock:
            done += runs
            progress(done, total, what)

    keys = [key_of(job, inputs) for job in jobs]
    values = [results.load(cache_dir() / "results", key) for key in keys]
    groups: dict[tuple[str, bool], list[int]] = {}
    for index, (job, value) in enumerate(zip(jobs, values, strict=True)):
        if value is None:
            groups.setdefault((job.profile.name, job.alone), []).append(index)
        else:
            advance(job.runs, job.title)

    def run(indices: list[int]) -> None:
        for index, value in zip(indices, run_jobs([jobs[i] for i in indices], inputs, advance), strict=True):
            values[index] = value
            if not value["failures"]:
                results.store(cache_dir() / "results", keys[index], value)

    with ThreadPoolExecutor(min(_MOST_WORKERS, os.cpu_count() or 1)) as pool:
        try:
            list(pool.map(run, groups.values()))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            raise
    return values


def _costs(jobs: list[Job], found: list[dict[str, Any]]) -> list[SignatureCost]:
    counts: dict[tuple[str, str, str, str], dict[str, list[float]]] = {}
    for job, value in zip(jobs, found, strict=True):
        for file, signatures in value["counts"].items():
            for signature, insns in signatures.items():
                key = (job.engine, job.precision, file, signature)
                counts.setdefault(key, {})[job.profile.name] = insns
    return [SignatureCost(*key, *group_counts(by_profile)) for key, by_profile in counts.items()]


def _operators(jobs: list[Job], found: list[dict[str, Any]], target: Profile) -> list[OperatorCost]:
    costs = []
    for job, value in zip(jobs, found, strict=True):
        if (job.engine, job.precision) == SHIPPED and job.profile == target:
            for signatures in value["operators"].values():
                for signature, events in signatures.items():
                    costs += sum_operators(signature, events)
    return costs


def _parity(found: list[dict[str, Any]]) -> list[ParityRow]:
    return [ParityRow(**row | {"checks": tuple(row["checks"])}) for value in found for row in value["parity"]]


def _failures(found: list[dict[str, Any]]) -> list[Failure]:
    entries = [entry for value in found for entry in value["failures"]]
    return [Failure(**entry | {"last_lines": tuple(entry["last_lines"])}) for entry in entries]
