"""Real ARM64 binaries under emulation: parity, exact instruction counts, simulated latency."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from export.arm64.report import Arm64Report
    from runtime.bundle import Bundle


@dataclass(frozen=True)
class Availability:
    """Whether the emulator is set up; `reason` says how to, where it is not."""

    ready: bool
    reason: str

    def __bool__(self) -> bool:
        return self.ready


def available() -> Availability:
    """Tells whether the emulator is set up, without verifying its files and without loading an engine."""
    from export.arm64 import toolchain

    if toolchain.is_set_up():
        return Availability(True, "")
    return Availability(False, f"the ARM64 emulator is not set up: {toolchain.HOW_TO_SET_UP}")


def measure(
    bundle: Bundle | str | os.PathLike,
    profiles: Iterable[str] | None = None,
    models: Iterable[tuple[str, str]] | None = None,
    *,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Arm64Report:
    """Counts, times and checks a bundle's models on emulated ARM64 cores; see `export.arm64.measurement`."""
    from export.arm64.measurement import measure as measure_bundle

    return measure_bundle(bundle, profiles, models, progress=progress)
