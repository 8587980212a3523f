"""Real ARM64 binaries under emulation: parity, exact instruction counts, simulated latency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from evaluation.arm64.report import Arm64Report
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
    from evaluation.arm64 import toolchain

    if toolchain.is_set_up():
        return Availability(True, "")
    return Availability(False, f"the ARM64 emulator is not set up: {toolchain.HOW_TO_SET_UP}")


def obstacle() -> str:
    """Returns why the emulator can never be set up on this machine; nothing where it is, or can be."""
    from evaluation.arm64 import packages, toolchain
    from evaluation.arm64.errors import SetupError

    try:
        if not toolchain.is_set_up():
            packages.check_machine()
    except SetupError as error:
        return str(error)
    return ""


@contextmanager
def set_up_beside(on_step: Callable[[str], None]) -> Iterator[Future[str]]:
    """Sets the emulator up in a thread, where it is not or is damaged; an interrupted caller ends it.

    Args:
        on_step: Called from that thread with what is being done.

    Yields:
        What becomes the reason why there is no emulator; nothing where there is one.
    """
    from evaluation.arm64 import packages, toolchain
    from evaluation.arm64.errors import SetupError

    def ensure() -> str:
        try:
            toolchain.ensure_toolchain(on_step)
        except SetupError as error:
            return str(error)
        except OSError as error:
            return f"{error.filename or 'disk'}: {error.strerror}"
        return ""

    with ThreadPoolExecutor(1) as pool, packages.stopped_with_caller():
        yield pool.submit(ensure)


def measure(
    bundle: Bundle | str | os.PathLike,
    profiles: Iterable[str] | None = None,
    models: Iterable[tuple[str, str]] | None = None,
    *,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Arm64Report:
    """Counts, times and checks a bundle's models on emulated ARM64 cores; see `measurement.py`."""
    from evaluation.arm64.measurement import measure as measure_bundle

    return measure_bundle(bundle, profiles, models, progress=progress)
