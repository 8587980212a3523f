"""Processes that work for another one, and are of no use without it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal


def end_with_parent(parent: int) -> None:
    """Has the system kill this process when the one that started it ends, in whatever way (Linux only).

    Args:
        parent: id of the process that started this one. It may have ended before the system was asked, and
            then nobody would tell: this process ends at once.
    """
    with contextlib.suppress(OSError, AttributeError):
        parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
