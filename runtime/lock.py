"""A lock for calls into an engine, which also says what a forked process can do with that engine."""

import os
import threading
import weakref


class ForkedError(RuntimeError):
    """The process was forked after the encoder was loaded, and the engine's threads are not in it."""


class CallLock:
    """Lets one thread at a time in, and a fork happen only while nobody is.

    So a forked process has an engine that is not in the middle of a run. It works there if it runs on the
    caller's thread alone; threads of its own are not copied by a fork, nor is what they held let go.

    Args:
        threads: That a run of the engine may use.
    """

    def __init__(self, threads: int) -> None:
        self._threads, self._process = threads, os.getpid()
        self._lock = threading.RLock()
        with _forking:
            _locks.add(self)

    def __enter__(self) -> None:
        """Waits for its turn.

        Raises:
            ForkedError: This process cannot run the engine.
        """
        if self._threads > 1 and os.getpid() != self._process:
            raise ForkedError(
                f"this process was forked after the encoder was loaded with threads={self._threads}: load it "
                "in the forked process, load it with threads=1, or use multiprocessing's spawn start method"
            )
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        """Waits until no other thread is in, and keeps others out."""
        self._lock.acquire()

    def after_fork(self) -> None:
        """Lets others in again, in both processes."""
        self._lock.release()


_locks: weakref.WeakSet[CallLock] = weakref.WeakSet()
_held: list[CallLock] = []
_forking = threading.RLock()


def _before_fork() -> None:
    _forking.acquire()
    for lock in list(_locks):
        lock.before_fork()
        _held.append(lock)


def _after_fork() -> None:
    while _held:
        _held.pop().after_fork()
    _forking.release()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
