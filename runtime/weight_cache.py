"""Packed weights in a file that every process maps, instead of in the private memory of each.

XNNPACK, LiteRT's CPU engine, keeps a second copy of the weights in the order that its kernels read. As a
file, that copy is mapped like the model: shared between processes, and dropped by the system when memory is
short.

The engine finds weights in such a file by their number alone, and ends the process where a file does not fit.
So a file is never trusted: its name holds a key of all that packing depends on (the model's bytes, the
engine's build, the CPU) and the SHA-256 of its own content, which is compared before the engine sees it. One
that does not match is removed and made anew, and where none can be written or read, the model runs without.
A model that computes something else with its file than without keeps an empty one, and runs without.
"""

import contextlib
import hashlib
import os
import platform
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO

from .bundle import file_sha256
from .files import PARTIAL, write_atomically

FOLDER_VARIABLE = "POCKET_WEIGHT_CACHE"
KEPT_BYTES = 256_000_000
"""What a folder keeps at most, the most recently used: one file of the shipped encoder is 2.4 MB."""
_SUFFIX = ".weights"
_KEY_LENGTH = 32
_CPU_FIELDS = (  # of /proc/cpuinfo: what kernels, and with them the packing, are chosen by
    "vendor_id", "cpu family", "model", "stepping", "flags",  # x86
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features",  # ARM
)  # fmt: skip


def default_folder() -> Path | None:
    """Where packed weights are kept: $POCKET_WEIGHT_CACHE, else pocket-encoder in the user's cache folder.

    Returns:
        None where the variable is empty, which turns the cache off, or there is no home folder.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen is not None:
        return Path(chosen).absolute() if chosen else None
    caches = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(caches) if caches else Path.home() / ".cache") / "pocket-encoder"
    except RuntimeError:
        return None


def packed_weights(model: Path, engine: str, folder: Path, build: Callable[[int], bool]) -> int | None:
    """Finds a model's packed weights, or has them built and keeps them.

    Args:
        model: The model file.
        engine: Name and build of the engine.
        folder: Where packed weights are kept; made where it is missing.
        build: Packs the weights into an empty file, given by its descriptor; tells whether they can be used.

    Returns:
        A descriptor of a file that was compared with its SHA-256, to be closed by the caller; None where
        none could be had.
    """
    key = _key(model, engine)
    found = _find(folder, key)
    if found is None and hasattr(os, "memfd_create"):
        # Built in memory, for the engine ends the process where a disk turns out to be full.
        with open(os.memfd_create("packed-weights"), "r+b") as packed:
            if not build(packed.fileno()):
                packed.truncate(0)
            with contextlib.suppress(OSError):
                _keep(folder, key, packed)
        found = _find(folder, key)
    if found is not None and os.fstat(found).st_size == 0:
        os.close(found)
        return None
    return found


def _key(model: Path, engine: str) -> str:
    parts = (file_sha256(model), engine, platform.machine(), *_cpu())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_KEY_LENGTH]


def _cpu() -> list[str]:
    """What tells this machine's CPUs from others, each line once."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return sorted({line for line in lines if line.partition(":")[0].strip() in _CPU_FIELDS})


def _find(folder: Path, key: str) -> int | None:
    """Opens the kept file of a key; removes those whose content is not what their name says."""
    for path in sorted(folder.glob(f"{key}-*{_SUFFIX}")):
        with contextlib.suppress(OSError):
            descriptor = _open(path)
            if _is_sound(descriptor, path.stem.removeprefix(f"{key}-")):
                with contextlib.suppress(OSError):
                    os.utime(path)  # the most recently used are kept
                return descriptor
            os.close(descriptor)
            path.unlink()
    return None


def _open(path: Path) -> int:
    """Opens a file, for writing too where that is allowed: the engine then replaces what it finds unfit."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, os.O_RDWR | flags)
    except OSError:
        return os.open(path, os.O_RDONLY | flags)


def _is_sound(descriptor: int, digest: str) -> bool:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid not in (0, os.geteuid()):
        return False
    with open(descriptor, "rb", closefd=False) as stream:
        sound = hashlib.file_digest(stream, "sha256").hexdigest() == digest
        stream.seek(0)
    return sound


def _keep(folder: Path, key: str, packed) -> None:
    """Copies packed weights into a folder, whole or not at all, and drops what was not used for long."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    packed.seek(0)
    digest = hashlib.file_digest(packed, "sha256").hexdigest()
    packed.seek(0)

    def copy(stream: IO[bytes]) -> None:
        os.fchmod(stream.fileno(), 0o600)  # nobody else may change what is mapped
        shutil.copyfileobj(packed, stream)

    write_atomically(folder / f"{key}-{digest}{_SUFFIX}", copy)
    _drop_unused(folder)


def _drop_unused(folder: Path) -> None:
    """Removes the files that were not used for longest, until the others fit."""
    files = [(path.stat(), path) for path in folder.iterdir() if path.suffix in (_SUFFIX, PARTIAL)]
    total = 0
    for status, path in sorted(files, key=lambda file: -file[0].st_mtime_ns):
        total += status.st_size
        if total > KEPT_BYTES:
            path.unlink(missing_ok=True)
