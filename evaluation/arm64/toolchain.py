"""The emulator, an ARM64 user space and ARM64 engines in a cache folder: set up once, always verified."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from evaluation.arm64 import packages
from evaluation.arm64.errors import SetupError
from evaluation.arm64.profiles import Profile, choose
from runtime.files import whole_folder

CACHE_VARIABLE = "POCKET_ARM64_CACHE"
HOW_TO_SET_UP = "python -m evaluation setup-arm64"
_HERE = Path(__file__).parent
_SOURCE = _HERE / "counter.c"
_STAMP = "stamp.json"
_OLDEST_QEMU, _NEWEST_QEMU = (7, 0), (8, 99)  # since the Cortex-A76; before plugin API version 2
_IMPORTS = ("numpy", "ai_edge_litert.interpreter", "onnxruntime")
_BROKEN = "the emulator does not work here"
_CLOCK_TEST = (
    "import time\n"
    "def insns(n):\n"
    "    start = time.monotonic_ns()\n"
    "    for _ in range(n): pass\n"
    "    return time.monotonic_ns() - start\n"
    "assert 1.9 < insns(20000) / insns(10000) < 2.1, 'the clock does not count instructions'\n"
)

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Toolchain:
    """A verified emulator.

    Attributes:
        folder: where it is.
        versions: of the emulator, the engines and the packages.
    """

    folder: Path
    versions: dict[str, str]

    def command(self, profile: Profile, program: list[str]) -> tuple[list[str], dict[str, str]]:
        """Returns the command line and environment that run ARM64 Python as the profile's core."""
        return _command(self.folder, profile, program)


def cache_dir() -> Path:
    """Returns where everything is kept: build/arm64 beside the packages, or what POCKET_ARM64_CACHE says."""
    return Path(os.environ.get(CACHE_VARIABLE) or _HERE.parents[1] / "build" / "arm64").absolute()


def is_set_up() -> bool:
    """Tells, without verifying files, whether the emulator is set up for this version of the recipe."""
    stamp = _read_stamp(cache_dir() / "toolchain")
    return stamp is not None and stamp["recipe"] == _recipe()


def open_toolchain() -> Toolchain:
    """Verifies the files of an emulator that was set up.

    Raises:
        SetupError: There is none, or a file is missing or altered.
    """
    folder = cache_dir() / "toolchain"
    stamp = _read_stamp(folder)
    if stamp is None or stamp["recipe"] != _recipe():
        raise SetupError(f"the ARM64 emulator is not set up: {HOW_TO_SET_UP}")
    broken = next((name for name, entry in stamp["files"].items() if _digest(folder / name) != entry), None)
    if broken is not None:
        raise SetupError(f"{folder / broken}: missing or altered; set the emulator up again: {HOW_TO_SET_UP}")
    return Toolchain(folder, stamp["versions"])


def ensure_toolchain(on_step: OnStep = lambda step: None) -> Toolchain:
    """Returns a verified emulator, set up or rebuilt first where needed; of two callers at once, one waits.

    Args:
        on_step: Called with what is being done.

    Raises:
        SetupError: It cannot be set up here, or not now.
    """
    with _lock(cache_dir(), on_step):
        with suppress(SetupError):
            return open_toolchain()
        _build(cache_dir(), on_step)
        return open_toolchain()


def _lock(cache: Path, on_step: OnStep) -> AbstractContextManager:
    def wait() -> bool:
        packages.check_not_stopped()
        on_step("waiting for another set-up")
        return False

    packages.check_not_stopped()
    try:
        return FileLock(cache / "lock").acquire(poll_interval=0.2, cancel_check=wait)
    except OSError as error:
        raise SetupError(f"{cache}: cannot write the emulator's cache: {error.strerror}") from error


def _build(cache: Path, on_step: OnStep) -> None:
    """Downloads into cache/downloads, which a next try goes on from; unpacks beside and renames whole."""
    packages.check_machine()
    downloads, partial, final = cache / "downloads", cache / "toolchain.partial", cache / "toolchain"
    apt = packages.Apt(cache / "apt")
    on_step("package lists")
    apt.update()
    on_step("downloading it and a user space")
    emulator = apt.download([f"{packages.EMULATOR_PACKAGE}:{apt.host}"], downloads)
    user_space = apt.download([f"{name}:arm64" for name in packages.ARM64_PACKAGES], downloads)
    on_step("downloading the engines")
    wheels = packages.download_wheels(downloads / "wheels")
    on_step("unpacking")
    for stale in (partial, final):
        shutil.rmtree(stale, ignore_errors=True)
    packages.unpack(emulator, partial / "host")
    _trim_emulator(partial / "host")
    _complete_libraries(apt, partial / "host", downloads)
    packages.unpack(user_space, partial / "root")
    packages.unpack(wheels, partial / "site")
    packages.compile_plugin(_SOURCE, partial / "counter.so")
    on_step("compiling Python's modules")
    qemu_version = _check_emulator(partial)
    versions = {"qemu": qemu_version} | dict(wheel.name.split("-")[:2] for wheel in wheels)
    _write_stamp(partial, versions)
    partial.rename(final)
    for done in (downloads, cache / "apt"):
        shutil.rmtree(done, ignore_errors=True)


def _trim_emulator(host: Path) -> None:
    """Drops the emulators of other processors and the documentation: nine tenths of the package."""
    for program in (host / "usr/bin").iterdir():
        if program.name != "qemu-aarch64":
            program.unlink()
    shutil.rmtree(host / "usr/share", ignore_errors=True)


def _complete_libraries(apt: packages.Apt, host: Path, downloads: Path) -> None:
    """Adds the host's libraries that the emulator needs and this machine lacks."""
    needed = [f"{packages.EMULATOR_PACKAGE}:{apt.host}"]
    seen = {
        f"libc6:{apt.host}",
        f"libgcc-s1:{apt.host}",
    }  # a C library other than the machine's would not load
    while missing := packages.missing_libraries(host / "usr/bin/qemu-aarch64", _library_path(host)):
        needed = [name for name in apt.dependencies(needed) if name not in seen]
        if not needed:
            raise SetupError(f"the emulator needs {', '.join(missing)}, which apt's sources do not offer")
        seen.update(needed)
        packages.unpack(apt.download(needed, downloads), host)


def _library_path(host: Path) -> str:
    return ":".join(
        str(path) for pattern in ("usr/lib/*-linux-gnu", "lib/*-linux-gnu") for path in host.glob(pattern)
    )


def _command(folder: Path, profile: Profile, program: list[str]) -> tuple[list[str], dict[str, str]]:
    target = {"PYTHONPATH": str(folder / "site"), "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    command = [str(folder / "host/usr/bin/qemu-aarch64"), "-cpu", profile.qemu_cpu, "-B", "0x0"]
    command += [
        "-L",
        str(_sysroot(folder, profile)),
        "-plugin",
        str(folder / "counter.so"),
        "-U",
        "LD_LIBRARY_PATH",
    ]
    command += [str(folder / "root/usr/bin" / f"python{packages.PYTHON}"), "-S", *program]
    return command, target | {"LD_LIBRARY_PATH": _library_path(folder / "host")}


def _sysroot(folder: Path, profile: Profile) -> Path:
    """The ARM64 user space as the profile's core sees it: the same files under other CPU files."""
    files = {"proc/cpuinfo": profile.cpuinfo}
    files |= {
        f"sys/devices/system/cpu/{name}": "0\n" for name in ("kernel_max", "possible", "present", "online")
    }
    key = hashlib.sha256(json.dumps(files).encode()).hexdigest()[:12]
    sysroot = folder.parent / "sysroots" / f"{profile.name}-{key}"
    if not sysroot.exists():
        with whole_folder(sysroot) as partial:
            for name, text in files.items():
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                (partial / name).write_text(text)
            for name in ("usr", "lib", "etc"):
                (partial / name).symlink_to(Path("../../toolchain/root") / name)
    return sysroot


def _check_emulator(partial: Path) -> str:
    """Runs the target once, which also writes Python's compiled modules; returns the emulator's version."""
    environment = {"LD_LIBRARY_PATH": _library_path(partial / "host")}
    qemu = str(partial / "host/usr/bin/qemu-aarch64")
    text = packages.run([qemu, "--version"], _BROKEN, env=environment)
    match = re.search(r"version (\d+)\.(\d+)\S*", text)
    if not match or not _OLDEST_QEMU <= (int(match[1]), int(match[2])) <= _NEWEST_QEMU:
        found = text.splitlines()[0] if text else "nothing"
        raise SetupError(f"the counting plugin needs QEMU 7.0 to 8.2, and apt's sources offer {found}")
    command, environment = _command(partial, choose(None)[0], [])
    sysroot = command.index("-L") + 1
    command[sysroot] = str(partial / "root")  # sysroots link to the final folder, which is not there yet
    cpu_file = partial / "root/proc/cpuinfo"
    cpu_file.parent.mkdir(exist_ok=True)
    cpu_file.write_text(choose(None)[0].cpuinfo)
    program = _CLOCK_TEST + "".join(f"import {name}\n" for name in _IMPORTS)
    packages.run([*command, "-c", program], _BROKEN, env=environment)
    return match[0].removeprefix("version ")


def _recipe() -> str:
    """What the set-up is made from: another recipe, another emulator."""
    parts = [*packages.ARM64_PACKAGES, packages.EMULATOR_PACKAGE, packages.PYTHON]
    files = [_SOURCE.read_bytes(), packages.WHEELS_FILE.read_bytes()]
    return hashlib.sha256("\n".join(parts).encode() + b"\n".join(files)).hexdigest()


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def _write_stamp(folder: Path, versions: dict[str, str]) -> None:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    files = {str(path.relative_to(folder)): _digest(path) for path in paths}
    stamp = {"recipe": _recipe(), "versions": versions, "files": files}
    (folder / _STAMP).write_text(json.dumps(stamp, indent=1, sort_keys=True), encoding="utf-8")


def _read_stamp(folder: Path) -> dict[str, Any] | None:
    try:
        stamp = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) and stamp.keys() == {"recipe", "versions", "files"} else None
