"""Counts the instructions of a row's files on the emulated core that the budgets are judged on."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from evaluation.arm64 import emulator, results
from evaluation.arm64.emulator import TargetFile, run_on_target
from evaluation.arm64.profiles import Profile, choose
from evaluation.arm64.toolchain import Toolchain
from evaluation.sources import sources_digest
from runtime.bundle import PARTS, file_sha256

RUNS_IN_GUEST = (".tflite", ".onnx")


class CountError(RuntimeError):
    """The emulated engine does not run the files; the message is one line."""


def target_profile() -> Profile:
    """Returns the phone that decides."""
    return choose(None)[0]


def count_instructions(toolchain: Toolchain, paths: Mapping[str, Path], golden: Path, cache: Path) -> float:
    """Returns million instructions of a whole encode: vision, text and fuse, one thread.

    Args:
        toolchain: verified.
        paths: the files by part.
        golden: .npz whose first sample is run.
        cache: keeps counts of files that were counted before.

    Raises:
        CountError: a file does not run on ARM64.
    """
    profile = target_profile()
    files = {path: tuple(part for part in PARTS if paths[part] == path) for path in paths.values()}
    digests = [[file_sha256(path), signatures] for path, signatures in files.items()]
    program = sources_digest(emulator.__name__)
    key = results.digest(
        [digests, file_sha256(golden), profile.name, profile.cpuinfo, toolchain.versions, program]
    )
    known = results.load(cache, key)
    if known is None:
        known = {"m_instructions": _emulate(toolchain, profile, files, golden)}
        results.store(cache, key, known)
    return known["m_instructions"]


def _emulate(toolchain: Toolchain, profile: Profile, files: Mapping[Path, tuple], golden: Path) -> float:
    asked = [TargetFile(path, signatures, rows=(0,)) for path, signatures in files.items()]
    with tempfile.TemporaryDirectory(prefix="pocket-compare-") as work_dir:
        target = run_on_target(toolchain, profile, asked, golden, Path(work_dir))
    if target.failures:
        failure = target.failures[0]
        said = failure.last_lines[-1] if failure.last_lines else ""
        raise CountError(f"{failure.file} on {profile.name}: {failure.reason} {said}".strip())
    return sum(sum(counts[0] for counts in file.values()) for file in target.counts.values()) / 1e6
