"""How far off are the simulated milliseconds? Networks with times published for three phones, predicted."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import networks
from evaluation.arm64 import emulator, results
from evaluation.arm64.emulator import TargetFile, run_on_target, stop_all
from evaluation.arm64.errors import Arm64Error
from evaluation.arm64.profiles import choose
from evaluation.arm64.report import significant
from evaluation.arm64.toolchain import Toolchain, cache_dir
from evaluation.sources import sources_digest
from runtime.bundle import file_sha256

TOLERANCE = 0.10
PUBLISHED_MS = {
    "MobileNet V1": {"pixel": 82, "pixel2": 86, "pixel3a": 88},
    "MobileNet V2": {"pixel": 49, "pixel2": 53, "pixel3a": 55},
    "MobileNet V3-Large": {"pixel": 39, "pixel2": 42, "pixel3a": 44},
    "MobileNet V3-Small": {"pixel": 12, "pixel2": 14, "pixel3a": 14},
}
"""google/XNNPACK README, fp32, one thread, Android, 27 March 2020; whole milliseconds."""

_FP16_SOURCE = "2.0, average over networks and phones (TensorFlow blog, November 2023)"
_A72_SOURCE = "{}, four threads on a Raspberry Pi 4 (google/XNNPACK README, 8 February 2022)"
_A73_SOURCE = "1.28, a speech network, 32-bit ARM (google/XNNPACK issue 6653)"
_DOT_SOURCE = "5, a speech network on a Cortex-A55, 32-bit ARM (google/XNNPACK issue 6653)"
PUBLISHED_RATIOS = (
    ("MobileNet V1", "fp16", "a76", _FP16_SOURCE),
    ("MobileNet V2", "fp16", "a76", _FP16_SOURCE),
    ("MobileNet V3-Large", "fp16", "a76", _FP16_SOURCE),
    ("MobileNet V3-Small", "fp16", "a76", _FP16_SOURCE),
    ("MobileNet V1", "int8", "pixel", _A72_SOURCE.format("3.2 (77 / 24 ms)")),
    ("MobileNet V2", "int8", "pixel", _A72_SOURCE.format("2.7 (46 / 17 ms)")),
    ("MobileNet V1", "int8", "pixel2", _A73_SOURCE),
    ("MobileNet V2", "int8", "pixel2", _A73_SOURCE),
    ("MobileNet V1", "int8", "a76", _DOT_SOURCE),
    ("MobileNet V2", "int8", "a76", _DOT_SOURCE),
)
"""Network, precision that fp32 is compared with, profile, and what was published of such a ratio."""

OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Prediction:
    """A network's simulated milliseconds on a phone beside the published ones."""

    network: str
    profile: str
    m_instructions: float
    published_ms: float
    predicted_ms: float
    error: float
    passed: bool


@dataclass(frozen=True)
class Ratio:
    """How many times fewer instructions a lower precision takes, beside a published ratio in time."""

    network: str
    precision: str
    profile: str
    counted: float
    published: str


@dataclass(frozen=True)
class Validation:
    """All predictions and ratios."""

    predictions: tuple[Prediction, ...]
    ratios: tuple[Ratio, ...]

    @property
    def passed(self) -> bool:
        """Whether every prediction is within the tolerance."""
        return all(prediction.passed for prediction in self.predictions)

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as JSON types."""
        return {
            "passed": self.passed,
            "tolerance": TOLERANCE,
            "predictions": [vars(prediction) for prediction in self.predictions],
            "ratios": [vars(ratio) for ratio in self.ratios],
        }


def validate(toolchain: Toolchain, progress: OnProgress = lambda done, total, what: None) -> Validation:
    """Builds the networks, counts them on every phone that they are needed on, and predicts.

    Args:
        progress: Called with what is done, of how much, and what runs; possibly from other threads.

    Raises:
        Arm64Error: A network did not run.
    """
    wanted = [(network, "fp32", profile) for network, times in PUBLISHED_MS.items() for profile in times]
    for network, precision, profile, _ in PUBLISHED_RATIOS:
        wanted += [(network, precision, profile), (network, "fp32", profile)]
    wanted = list(dict.fromkeys(wanted))
    files = _build_all(list(dict.fromkeys(want[:2] for want in wanted)), len(wanted), progress)
    counts = _count_all(wanted, files, toolchain, progress)
    predictions = [
        _predict(network, profile, counts[network, "fp32", profile], published)
        for network, times in PUBLISHED_MS.items()
        for profile, published in times.items()
    ]
    ratios = [
        Ratio(
            n,
            precision,
            profile,
            round(counts[n, "fp32", profile] / counts[n, precision, profile], 2),
            published,
        )
        for n, precision, profile, published in PUBLISHED_RATIOS
    ]
    return Validation(tuple(predictions), tuple(ratios))


def _predict(network: str, profile: str, m_instructions: float, published_ms: float) -> Prediction:
    predicted = choose([profile])[0].milliseconds(m_instructions)
    error = predicted / published_ms - 1
    passed = abs(error) <= TOLERANCE
    return Prediction(
        network, profile, m_instructions, published_ms, round(predicted, 1), round(error, 4), passed
    )


def _build_all(
    pairs: list[tuple[str, str]], counted: int, progress: OnProgress
) -> dict[tuple[str, str], Path]:
    files = {}
    for done, (network, precision) in enumerate(pairs):
        progress(done, len(pairs) + counted, f"converting {network} {precision}")
        files[network, precision] = networks.build(network, precision, cache_dir() / "networks")
    return files


def _count_all(
    wanted: list[tuple[str, str, str]],
    files: dict[tuple[str, str], Path],
    toolchain: Toolchain,
    progress: OnProgress,
) -> dict[tuple[str, str, str], float]:
    """Counts side by side, a target for each profile and precision; returns million instructions."""
    groups: dict[tuple[str, str], list[str]] = {}
    for network, precision, profile in wanted:
        groups.setdefault((profile, precision), []).append(network)
    done, total, lock = len(files), len(files) + len(wanted), threading.Lock()

    def run(group: tuple[str, str]) -> dict[tuple[str, str, str], float]:
        nonlocal done
        profile, precision = group
        paths = {network: files[network, precision] for network in groups[group]}
        counts = _count(profile, precision, list(paths.values()), toolchain)
        with lock:
            done += len(paths)
            progress(done, total, f"counting {precision} on {profile}")
        return {(network, precision, profile): counts[path.name] for network, path in paths.items()}

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        try:
            return {key: count for found in pool.map(run, groups) for key, count in found.items()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            raise


def _count(profile_name: str, precision: str, paths: list[Path], toolchain: Toolchain) -> dict[str, float]:
    profile = choose([profile_name])[0]
    core = [profile.qemu_cpu, profile.cpuinfo, profile.hidden_hwcap]
    contents = [[path.name, file_sha256(path)] for path in paths]
    key = results.digest([core, contents, sources_digest(emulator.__name__), toolchain.versions])
    counts = results.load(cache_dir() / "results", key)
    if counts is None:
        with tempfile.TemporaryDirectory(prefix="pocket-arm64-") as work_dir:
            inputs = Path(work_dir) / "inputs.npz"
            np.savez(inputs, **{networks.IMAGE: networks.image(precision)})
            target_files = [TargetFile(path, (networks.SIGNATURE,), (0,)) for path in paths]
            target = run_on_target(toolchain, profile, target_files, inputs, Path(work_dir))
        if target.failures:
            failure = target.failures[0]
            raise Arm64Error(
                f"{failure.file} on {profile_name}: {failure.reason}: {' / '.join(failure.last_lines)}"
            )
        counts = {name: min(found[networks.SIGNATURE]) for name, found in target.counts.items()}
        results.store(cache_dir() / "results", key, counts)
    return {name: significant(insns / 1e6) for name, insns in counts.items()}
