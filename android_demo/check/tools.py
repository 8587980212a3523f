"""The programs that the check runs: Debian's packages, and libraries through Maven."""

import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

from android_demo.check import DEMO, AndroidError
from android_demo.check.work import LIB, LOGS, digest
from runtime.files import make_once

PROGRAMS = {
    "javac": "openjdk-17-jdk-headless",
    "keytool": "openjdk-17-jdk-headless",
    "mvn": "maven",
    "aapt2": "aapt",
    "zipalign": "zipalign",
    "apksigner": "apksigner",
}
"""Programs and Debian's packages that have them."""

POM = DEMO / "pom.xml"
_ARCHIVES = ("tensorflow-lite", "tensorflow-lite-api", "monitor")  # Android archives, each with a classes.jar


def missing_packages() -> list[str]:
    """Debian's packages of the programs that are not installed."""
    return sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})


def install_programs() -> None:
    """Installs what is missing, where this process may.

    Raises:
        AndroidError: Something is missing and cannot be installed; the message names the command for it.
    """
    packages = missing_packages()
    if not packages:
        return
    command = f"apt-get install {' '.join(packages)}"
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise AndroidError(f"the Android check needs {', '.join(packages)}: run `{command}` as root")
    run(["apt-get", "update", "-qq"], "apt")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], "apt", environment)
    if missing_packages():
        raise AndroidError(f"`{command}` did not install {', '.join(missing_packages())}")


def fetch_libraries() -> None:
    """Fetches what is used as a file into `LIB`, as pom.xml lists it, and unpacks Android archives.

    Raises:
        AndroidError: Maven cannot fetch it.
    """
    make_once(LIB, digest([POM]), _fetch)


def _fetch(folder: Path) -> None:
    run(["mvn", "--batch-mode", "--file", str(POM), f"-Dlib={folder}", "dependency:copy@tools"], "fetch")
    for name in _ARCHIVES:
        with zipfile.ZipFile(folder / f"{name}.aar") as archive:
            (folder / f"{name}.jar").write_bytes(archive.read("classes.jar"))


def run(command: Sequence[str | Path], log: str, environment: dict[str, str] | None = None) -> str:
    """Runs a program; what it says is kept in LOGS/`log`.txt.

    Returns:
        What it wrote on standard output.

    Raises:
        AndroidError: It failed; the message says why and names the log.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, errors="replace")
    path = LOGS / f"{log}.txt"
    path.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
        reason = next((line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)), lines[-1])
        raise AndroidError(f"{command[0]} failed: {reason.strip()} (see {path})")
    return done.stdout
