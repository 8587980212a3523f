"""Measures a bundle on emulated phones: what to run where, side by side, the unchanged taken from disk."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from export.arm64 import parity, results
from export.arm64.emulator import GUEST, Failure, GuestFile, GuestRun, run_guest, stop_all
from export.arm64.profiles import Profile, choose
from export.arm64.report import (
    SHIPPED,
    Arm64Report,
    OperatorCost,
    ParityRow,
    SignatureCost,
    group_counts,
    sum_operators,
)
from export.arm64.toolchain import Toolchain, cache_dir, open_toolchain
from runtime.bundle import ENGINES, PRECISIONS, Bundle, select_files
from runtime.parity import GOLDEN, load_golden

_FEW_ROWS = 2
_MOST_INSNS = 1_250_000_000  # of the shipped model's rows on the target: all of those up to 39 M each
_MOST_INSNS_ELSEWHERE = 200_000_000  # both rows of such an encoder, where a core lacks the dot product
_FEWEST_ROWS = 4  # of the shipped model on the target, however heavy it is
_MOST_WORKERS = 4
_ORDER = ("vision", "text", "fuse", "encode")  # fuse runs again on the tokens of the two before

OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class _Job:
    """The files of one engine and precision on one core; `alone` where they get a guest of their own."""

    engine: str
    precision: str
    profile: Profile
    files: tuple[GuestFile, ...]
    alone: bool

    @property
    def runs(self) -> int:
        return sum(file.runs for file in self.files)

    @property
    def title(self) -> str:
        return f"{self.engine} {self.precision} on {self.profile.name}"


@dataclass(frozen=True)
class _Inputs:
    """What all jobs of a measurement share."""

    bundle: Bundle
    golden: Mapping[str, np.ndarray]
    limits: Mapping[str, Mapping[str, float]]
    toolchain: Toolchain


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
    found = _run_all(jobs, _Inputs(bundle, golden, limits["parity"], emulator), progress)
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


def _job(
    bundle: Bundle, engine: str, precision: str, profile: Profile, target: Profile, samples: int
) -> _Job:
    """The shipped model runs every golden row on the target; elsewhere a few, evenly spread, are enough."""
    shipped, on_target = (engine, precision) == SHIPPED, profile == target
    alone = shipped and on_target
    wanted = samples if alone else min(samples, _FEW_ROWS if shipped or on_target else 1)
    rows = tuple(int(row) for row in np.linspace(0, samples - 1, wanted).round())
    served: dict[str, list[str]] = {}
    for signature, name in select_files(bundle.files, engine, precision).items():
        served.setdefault(name, []).append(signature)
    files = tuple(
        GuestFile(
            bundle.file(name), tuple(s for s in _ORDER if s in signatures), rows,
            group=f"{engine}_{precision}", samples=2 if alone else 1, operators=alone,
            most_insns=(_MOST_INSNS if on_target else _MOST_INSNS_ELSEWHERE) if shipped else 0,
            fewest_rows=_FEWEST_ROWS if alone else 1,
        )
        for name, signatures in sorted(served.items(), key=lambda item: _ORDER.index(item[1][0]))
    )  # fmt: skip
    return _Job(engine, precision, profile, files, alone)


def _run_all(jobs: list[_Job], inputs: _Inputs, progress: OnProgress) -> list[dict[str, Any]]:
    """Returns the jobs' values, in their order: those on disk, and the others from guests side by side."""
    total, done, lock = sum(job.runs for job in jobs), 0, threading.Lock()

    def advance(runs: int, what: str) -> None:
        nonlocal done
        with lock:
            done += runs
            progress(done, total, what)

    keys = [_key(job, inputs) for job in jobs]
    values = [results.load(cache_dir() / "results", key) for key in keys]
    groups: dict[tuple[str, bool], list[int]] = {}
    for index, (job, value) in enumerate(zip(jobs, values, strict=True)):
        if value is None:
            groups.setdefault((job.profile.name, job.alone), []).append(index)
        else:
            advance(job.runs, job.title)

    def run(indices: list[int]) -> None:
        for index, value in zip(indices, _run_jobs([jobs[i] for i in indices], inputs, advance), strict=True):
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


def _key(job: _Job, inputs: _Inputs) -> str:
    core = [job.profile.name, job.profile.qemu_cpu, job.profile.cpuinfo, job.profile.hidden_hwcap]
    entries = inputs.bundle.files
    files = [
        [entries[file.path.name]["sha256"], file.signatures, file.rows, file.samples, file.operators]
        for file in job.files
    ]
    host = [version(name) for name in ("numpy", "ai-edge-litert", "onnxruntime")]
    program = results.files_digest([*GUEST.glob("*.py"), Path(parity.__file__), Path(__file__)])
    tools = [inputs.toolchain.versions, host, program]
    return results.digest([core, files, entries[GOLDEN]["sha256"], inputs.limits.get(job.precision), tools])


def _run_jobs(jobs: list[_Job], inputs: _Inputs, advance: Callable[[int, str], None]) -> list[dict[str, Any]]:
    """Emulates jobs of one core in one guest, and compares what they computed."""
    files = [file for job in jobs for file in job.files]
    titles = {file.path.name: job.title for job in jobs for file in job.files}
    with tempfile.TemporaryDirectory(prefix="pocket-arm64-") as work_dir:
        guest = run_guest(
            inputs.toolchain, jobs[0].profile, files, inputs.bundle.file(GOLDEN), Path(work_dir),
            lambda name: advance(1, titles[name]),
        )  # fmt: skip
        return [_evaluate(job, guest, inputs) for job in jobs]


def _evaluate(job: _Job, guest: GuestRun, inputs: _Inputs) -> dict[str, Any]:
    ran = [
        replace(file, rows=guest.rows[file.path.name]) for file in job.files if file.path.name in guest.rows
    ]
    rows = ran[0].rows if ran else ()
    names = {file.path.name for file in job.files}
    outputs = parity.read_outputs(guest.outputs_dir / job.files[0].group, ran)
    fixed = {"engine": job.engine, "precision": job.precision, "profile": job.profile.name}
    expected = {
        "pytorch": parity.golden_outputs(outputs, inputs.golden, rows),
        "host": parity.run_host(ran, inputs.golden),
    }
    limits = inputs.limits.get(job.precision, {})
    found = [
        asdict(row)
        for against, values in expected.items()
        for row in parity.compare(outputs, values, inputs.golden, rows, limits, **fixed, against=against)
    ]
    return {
        "counts": {name: counts for name, counts in guest.counts.items() if name in names},
        "operators": {name: counts for name, counts in guest.operators.items() if name in names},
        "parity": found,
        "failures": [failure.to_dict() for failure in guest.failures if failure.file in names],
    }


def _costs(jobs: list[_Job], found: list[dict[str, Any]]) -> list[SignatureCost]:
    counts: dict[tuple[str, str, str, str], dict[str, list[float]]] = {}
    for job, value in zip(jobs, found, strict=True):
        for file, signatures in value["counts"].items():
            for signature, insns in signatures.items():
                key = (job.engine, job.precision, file, signature)
                counts.setdefault(key, {})[job.profile.name] = insns
    return [SignatureCost(*key, *group_counts(by_profile)) for key, by_profile in counts.items()]


def _operators(jobs: list[_Job], found: list[dict[str, Any]], target: Profile) -> list[OperatorCost]:
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
