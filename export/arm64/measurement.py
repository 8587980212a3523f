"""Measures a bundle on emulated phones: what to run where, side by side, the unchanged taken from disk."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from export.arm64 import parity, results
from export.arm64.emulator import GUEST, Failure, GuestFile, run_guest, stop_all
from export.arm64.errors import Arm64Error
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

_ROWS_OTHER_MODELS = 4
_ROWS_OTHER_PROFILES = 2
_MOST_WORKERS = 4
_ORDER = ("vision", "text", "fuse", "encode")  # fuse runs again on the tokens of the two before

OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class _Job:
    """The files of one engine and precision on one core."""

    engine: str
    precision: str
    profile: Profile
    files: tuple[GuestFile, ...]

    @property
    def title(self) -> str:
        return f"{self.engine} {self.precision} on {self.profile.name}"


def measure(
    bundle_dir: str | os.PathLike,
    profiles: Iterable[str] | None = None,
    models: Iterable[tuple[str, str]] | None = None,
    *,
    toolchain: Toolchain | None = None,
    progress: OnProgress = lambda done, total, what: None,
) -> Arm64Report:
    """Counts, times and checks a bundle's models on emulated ARM64 cores.

    Args:
        bundle_dir: The bundle's folder.
        profiles: Names from profiles.toml, the first of which decides; None = all, the default first.
        models: (engine, precision) pairs; None = all four. The shipped one is ("tflite", "int8").
        toolchain: A verified emulator, if the caller has one.
        progress: Called with runs done, runs in all, and what runs; possibly from other threads.

    Raises:
        Arm64Error: An unknown profile, or the emulator is not set up (SetupError).
        BundleError: The bundle is missing, incomplete or altered, or its manifest has no limits.
    """
    chosen = choose(profiles)
    bundle = Bundle.load(bundle_dir)
    limits = bundle.manifest.get("limits") or {}
    if "latency_ms" not in limits or "parity" not in limits:
        raise Arm64Error(f"{bundle.path}: the manifest has no limits for latency and parity; export it again")
    golden = load_golden(bundle.file(GOLDEN), bundle.tensors)
    pairs = [(e, p) for e in ENGINES for p in PRECISIONS] if models is None else list(models)
    jobs = [
        _job(bundle, e, p, profile, chosen[0], len(golden["image"])) for profile in chosen for e, p in pairs
    ]
    emulator = toolchain or open_toolchain()
    found = _run_all(jobs, bundle, golden, limits["parity"], emulator, progress)
    return Arm64Report(
        preset=bundle.manifest["preset"],
        profiles=tuple(chosen),
        latency_limit_ms=float(limits["latency_ms"]),
        versions=emulator.versions,
        costs=tuple(_costs(jobs, found)),
        operators=tuple(_operators(jobs, found, chosen[0])),
        parity=tuple(
            ParityRow(**row | {"checks": tuple(row["checks"])}) for value in found for row in value["parity"]
        ),
        failures=tuple(
            Failure(**failure | {"last_lines": tuple(failure["last_lines"])})
            for value in found
            for failure in value["failures"]
        ),
    )


def _job(
    bundle: Bundle, engine: str, precision: str, profile: Profile, target: Profile, samples: int
) -> _Job:
    """The shipped model runs every golden row on the target; elsewhere a few, evenly spread, are enough."""
    shipped = (engine, precision) == SHIPPED
    if profile == target:
        wanted = samples if shipped else min(samples, _ROWS_OTHER_MODELS)
    else:
        wanted = min(samples, _ROWS_OTHER_PROFILES)
    rows = tuple(int(row) for row in np.linspace(0, samples - 1, wanted).round())
    on_target = profile == target
    served: dict[str, list[str]] = {}
    for signature, name in select_files(bundle.files, engine, precision).items():
        served.setdefault(name, []).append(signature)
    files = tuple(
        GuestFile(
            bundle.file(name), tuple(s for s in _ORDER if s in signatures), rows,
            samples=1 + on_target, operators=shipped and on_target,
        )
        for name, signatures in sorted(served.items(), key=lambda item: _ORDER.index(item[1][0]))
    )  # fmt: skip
    return _Job(engine, precision, profile, files)


def _run_all(
    jobs: list[_Job],
    bundle: Bundle,
    golden: Mapping[str, np.ndarray],
    limits: Mapping[str, Mapping[str, float]],
    toolchain: Toolchain,
    progress: OnProgress,
) -> list[dict[str, Any]]:
    """Runs jobs side by side; returns their values in the jobs' order."""
    total, done, lock = sum(file.runs for job in jobs for file in job.files), 0, threading.Lock()
    keys = [_key(job, bundle, limits, toolchain) for job in jobs]

    def advance(runs: int, what: str) -> None:
        nonlocal done
        with lock:
            done += runs
            progress(done, total, what)

    def run(job: _Job, key: str) -> dict[str, Any]:
        value = results.load(cache_dir() / "results", key)
        if value is not None:
            advance(sum(file.runs for file in job.files), job.title)
            return value
        value = _run_job(
            job, bundle, golden, limits.get(job.precision, {}), toolchain, lambda: advance(1, job.title)
        )
        if not value["failures"]:
            results.store(cache_dir() / "results", key, value)
        return value

    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        try:
            return list(pool.map(run, jobs, keys))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            raise


def _key(job: _Job, bundle: Bundle, limits: Mapping[str, Any], toolchain: Toolchain) -> str:
    core = [job.profile.qemu_cpu, job.profile.cpuinfo, job.profile.hidden_hwcap]
    files = [
        [bundle.files[f.path.name]["sha256"], f.signatures, f.rows, f.samples, f.operators] for f in job.files
    ]
    host = [version(name) for name in ("numpy", "ai-edge-litert", "onnxruntime")]
    program = results.files_digest([*GUEST.glob("*.py"), Path(parity.__file__), Path(__file__)])
    golden = bundle.files[GOLDEN]["sha256"]
    return results.digest([core, files, golden, limits, host, program, toolchain.versions, job.profile.name])


def _run_job(
    job: _Job,
    bundle: Bundle,
    golden: Mapping[str, np.ndarray],
    limits: Mapping[str, float],
    toolchain: Toolchain,
    on_run: Callable[[], None],
) -> dict[str, Any]:
    """Emulates a job's files and compares what they computed."""
    with tempfile.TemporaryDirectory(prefix="pocket-arm64-") as work_dir:
        guest = run_guest(toolchain, job.profile, job.files, bundle.file(GOLDEN), Path(work_dir), on_run)
        ran = [file for file in job.files if file.path.name in guest.counts]
        outputs = parity.read_outputs(guest.outputs_dir, ran)
    row = {"engine": job.engine, "precision": job.precision, "profile": job.profile.name}
    expected = parity.golden_outputs(outputs, golden, job.files[0].rows)
    rows = parity.compare(outputs, expected, limits, **row, against="pytorch")
    rows += parity.compare(outputs, parity.run_host(ran, golden), limits, **row, against="host")
    return {
        "counts": guest.counts,
        "operators": guest.operators,
        "parity": [asdict(found) for found in rows],
        "failures": [failure.to_dict() for failure in guest.failures],
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
