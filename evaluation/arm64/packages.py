"""Fetches Debian packages and ARM64 wheels into a folder, verified by checksum, without root.

apt works through the machine's own sources, with its state in the given folder; pip as it is configured.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from evaluation.arm64.errors import SetupError

PYTHON = "3.11"
ARM64_PACKAGES = (
    "libc6", "libgcc-s1", "libstdc++6", f"python{PYTHON}-minimal", f"libpython{PYTHON}-minimal",
    f"libpython{PYTHON}-stdlib", "zlib1g", "libexpat1", "libffi8", "libssl3", "libbz2-1.0", "liblzma5",
    "libsqlite3-0", "libuuid1",
)  # fmt: skip
EMULATOR_PACKAGE = "qemu-user"
WHEELS_FILE = Path(__file__).with_name("wheels.txt")
_PLATFORMS = (
    "manylinux_2_28_aarch64",
    "manylinux_2_27_aarch64",
    "manylinux_2_17_aarch64",
    "manylinux2014_aarch64",
)
_TIMEOUT_S = 600
_ANSWER_S, _LISTS_S = 10, 60  # of a server, of the first thing to fetch: no network must not cost minutes
_COMMANDS = ("apt-get", "apt-cache", "dpkg", "dpkg-deb", "ldd", "cc")
_URI_LINE = re.compile(r"^'[^']*' (?P<file>\S+) (?P<size>\d+) (?P<hash>\S*)$", re.MULTILINE)
_running: set[subprocess.Popen] = set()
_stopping = threading.Event()


def check_machine() -> None:
    """Raises SetupError unless this machine has what the set-up needs."""
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"):
        machine = f"{platform.system()} on {platform.machine()}"
        raise SetupError(f"the ARM64 emulator needs Debian or Ubuntu on a 64-bit machine, not {machine}")
    absent = [name for name in _COMMANDS if shutil.which(name) is None]
    if absent:
        raise SetupError(
            f"the ARM64 emulator cannot be set up: {', '.join(absent)} not found; "
            "it needs Debian or Ubuntu with gcc installed (apt-get install gcc)"
        )
    if find_spec("pip") is None:
        raise SetupError(f"the ARM64 emulator cannot be set up: {sys.executable} has no pip")


class Apt:
    """apt-get for two architectures with lists and cache of its own."""

    def __init__(self, folder: Path) -> None:
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self.host = run(["dpkg", "--print-architecture"]).strip()
        settings = {
            "Dir::State": folder, "Dir::State::lists": folder / "lists", "Dir::Cache": folder / "cache",
            "Dir::State::status": "/dev/null", "APT::Architectures": f"{self.host},arm64",
            "APT::Sandbox::User": "", "Acquire::Languages": "none", "Acquire::Retries": "1",
            "Acquire::http::Timeout": _ANSWER_S, "Acquire::https::Timeout": _ANSWER_S,
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false", "Debug::NoLocking": "true",
        }  # fmt: skip
        self._options = [f"-o{key}={value}" for key, value in settings.items()]

    def update(self) -> None:
        """Fetches the package lists.

        Raises:
            SetupError: They cannot be had, or the sources offer nothing for ARM64.
        """
        command = ["apt-get", "-q", *self._options, "update"]
        run(command, "cannot fetch the package lists: is there a network?", timeout=_LISTS_S)
        if not self._listed(["libc6:arm64", f"{EMULATOR_PACKAGE}:{self.host}"]):
            raise SetupError(
                "apt's sources offer no ARM64 packages, or there is no network; "
                "see that `apt-get update` works and that a source serves arm64"
            )

    def download(self, packages: Sequence[str], folder: Path) -> list[Path]:
        """Downloads packages, named NAME:ARCHITECTURE, except those that are there already and intact.

        Returns:
            The .deb files.

        Raises:
            SetupError: A package does not exist, cannot be fetched, or has a wrong checksum.
        """
        folder.mkdir(parents=True, exist_ok=True)
        wanted = self._listed(packages)
        if len(wanted) != len(packages):
            raise SetupError(f"apt's sources do not offer all of: {' '.join(packages)}")
        stale = [f"{file.split('_')[0]}:{file.removesuffix('.deb').rsplit('_', 1)[1]}"
                 for file, digest in wanted.items() if not _is_intact(folder / file, digest)]  # fmt: skip
        if stale:
            for file, digest in wanted.items():
                if not _is_intact(folder / file, digest):
                    (folder / file).unlink(missing_ok=True)
            run(["apt-get", "-q", *self._options, "download", *stale], "cannot download packages", cwd=folder)
        for file, digest in wanted.items():
            if not _is_intact(folder / file, digest):
                raise SetupError(
                    f"{folder / file}: its checksum is not what the package list says; run again"
                )
        return [folder / file for file in wanted]

    def dependencies(self, packages: Iterable[str]) -> list[str]:
        """Returns the direct dependencies of packages, as NAME:ARCHITECTURE of the host."""
        only = [
            f"--no-{kind}"
            for kind in ("recommends", "suggests", "breaks", "conflicts", "replaces", "enhances")
        ]
        text = run(["apt-cache", *self._options, "depends", *only, *packages])
        names = re.findall(r"^\s*(?:Pre)?Depends: ([a-z0-9][a-z0-9.+-]*)", text, re.MULTILINE)
        return [f"{name}:{self.host}" for name in dict.fromkeys(names)]

    def _listed(self, packages: Sequence[str]) -> dict[str, str]:
        """File name and SHA-256 of each package; empty where one is not offered."""
        command = ["apt-get", *self._options, "download", "--print-uris", *packages]
        result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        found = _URI_LINE.finditer(result.stdout) if result.returncode == 0 else ()
        return {match["file"]: match["hash"].removeprefix("SHA256:") for match in found}


def download_wheels(folder: Path) -> list[Path]:
    """Downloads the ARM64 wheels of wheels.txt; pip compares each with the hash there.

    Raises:
        SetupError: They cannot be fetched, or a hash differs.
    """
    if folder.exists():  # pip trusts names alone where a wheel is there already
        for wheel in folder.glob("*.whl"):
            if hashlib.sha256(wheel.read_bytes()).hexdigest() not in WHEELS_FILE.read_text(encoding="utf-8"):
                wheel.unlink()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += [
        "--only-binary=:all:",
        "--require-hashes",
        "--python-version",
        PYTHON,
        "--implementation",
        "cp",
    ]
    command += [f"--platform={name}" for name in _PLATFORMS]
    command += ["--timeout", str(_ANSWER_S), "--retries", "1"]
    run([*command, "--dest", str(folder), "-r", str(WHEELS_FILE)], "cannot download the ARM64 wheels")
    return sorted(folder.glob("*.whl"))


def unpack(archives: Iterable[Path], folder: Path) -> None:
    """Unpacks .deb and .whl files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        if archive.suffix == ".deb":
            run(["dpkg-deb", "-x", str(archive), str(folder)], f"{archive}: cannot unpack it")
        else:
            with zipfile.ZipFile(archive) as wheel:
                wheel.extractall(folder)


def missing_libraries(program: Path, library_path: str) -> list[str]:
    """Returns the shared libraries that a program of the host lacks."""
    text = run(["ldd", str(program)], env={**os.environ, "LD_LIBRARY_PATH": library_path})
    return re.findall(r"^\s*(\S+) => not found", text, re.MULTILINE)


def compile_plugin(source: Path, target: Path) -> None:
    """Compiles the counting plugin.

    Raises:
        SetupError: The compiler fails.
    """
    run(["cc", "-O2", "-shared", "-fPIC", "-o", str(target), str(source)], f"cannot compile {source.name}")


def _is_intact(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def run(command: Sequence[str], problem: str = "", *, timeout: float = _TIMEOUT_S, **options) -> str:
    """Runs a command and returns its output; `stopped_with_caller` may end it.

    Raises:
        SetupError: It fails, takes too long or was ended; the message has the command's last line.
    """
    problem = problem or " ".join(command[:2])
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, start_new_session=True, **pipes, **options) as process:
        _running.add(process)
        try:
            check_not_stopped()
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise SetupError(f"{problem}: not done in {timeout:g} s") from error
        finally:
            _end(process)
            _running.discard(process)
    if process.returncode != 0:
        lines = [line for line in (err or out).splitlines() if line.strip()]
        last = lines[-1].strip() if lines else f"exit status {process.returncode}"
        raise SetupError(f"{problem}: {last}")
    return out


@contextmanager
def stopped_with_caller() -> Iterator[None]:
    """Ends what `run` runs in other threads, and starts nothing more, where the caller is interrupted."""
    _stopping.clear()
    try:
        yield
    except BaseException:
        _stopping.set()
        for process in list(_running):
            _end(process)
        raise


def check_not_stopped() -> None:
    """Raises SetupError where the caller was interrupted."""
    if _stopping.is_set():
        raise SetupError("the set-up of the ARM64 emulator was stopped")


def _end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
