"""Jobs of a measurement: what runs in one target, what is found, and the key that it is kept by."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.arm64 import parity, results
from evaluation.arm64.emulator import TargetFile, TargetRun, run_on_target
from evaluation.sources import sources_digest
from runtime.parity import GOLDEN

if TYPE_CHECKING:
    from evaluation.arm64.profiles import Profile
    from evaluation.arm64.toolchain import Toolchain
    from runtime.bundle import Bundle


@dataclass(frozen=True)
class Job:
    """The files of one engine and precision on one core; `alone` where they get a target of their own."""

    engine: str
    precision: str
    profile: Profile
    files: tuple[TargetFile, ...]
    alone: bool

    @property
    def runs(self) -> int:
        """How many times the target reports progress."""
        return sum(file.runs for file in self.files)

    @property
    def title(self) -> str:
        """What the terminal shows."""
        return f"{self.engine} {self.precision} on {self.profile.name}"


@dataclass(frozen=True)
class Inputs:
    """What all jobs of a measurement share."""

    bundle: Bundle
    golden: Mapping[str, np.ndarray]
    limits: Mapping[str, Mapping[str, float]]
    toolchain: Toolchain


def key_of(job: Job, inputs: Inputs) -> str:
    """Returns a digest of all that a job's value depends on."""
    core = [job.profile.name, job.profile.qemu_cpu, job.profile.cpuinfo, job.profile.hidden_hwcap]
    entries = inputs.bundle.files
    files = [
        [entries[file.path.name]["sha256"], file.signatures, file.rows, file.samples, file.operators]
        for file in job.files
    ]
    host = [version(name) for name in ("numpy", "ai-edge-litert", "onnxruntime")]
    tools = [inputs.toolchain.versions, host, sources_digest(__name__)]
    return results.digest([core, files, entries[GOLDEN]["sha256"], inputs.limits.get(job.precision), tools])


def run_jobs(jobs: list[Job], inputs: Inputs, advance: Callable[[int, str], None]) -> list[dict[str, Any]]:
    """Emulates jobs of one core in one target, and compares what they computed."""
    files = [file for job in jobs for file in job.files]
    titles = {file.path.name: job.title for job in jobs for file in job.files}
    with tempfile.TemporaryDirectory(prefix="pocket-arm64-") as work_dir:
        target = run_on_target(
            inputs.toolchain, jobs[0].profile, files, inputs.bundle.file(GOLDEN), Path(work_dir),
            lambda name: advance(1, titles[name]),
        )  # fmt: skip
        return [_evaluate(job, target, inputs) for job in jobs]


def _evaluate(job: Job, target: TargetRun, inputs: Inputs) -> dict[str, Any]:
    ran = [
        replace(file, rows=target.rows[file.path.name]) for file in job.files if file.path.name in target.rows
    ]
    rows = ran[0].rows if ran else ()
    names = {file.path.name for file in job.files}
    outputs = parity.read_outputs(target.outputs_dir / job.files[0].group, ran)
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
        "counts": {name: counts for name, counts in target.counts.items() if name in names},
        "operators": {name: counts for name, counts in target.operators.items() if name in names},
        "parity": found,
        "failures": [failure.to_dict() for failure in target.failures if failure.file in names],
    }
