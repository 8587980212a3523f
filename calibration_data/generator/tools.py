"""The programs that rendering needs: Debian's chromium, node, and npm packages in a cache folder."""

import json
import shutil
import subprocess
from pathlib import Path

from calibration_data import ROOT, CalibrationDataError
from calibration_data.generator import GENERATOR
from runtime.files import whole_folder

PAGES = GENERATOR / "pages"
CACHE = ROOT.parent / "build" / "calibration"
PACKAGE_FILES = ("package.json", "package-lock.json")
# A file of each family that the screens' fonts come from, and Debian's package that has it.
FONTS = {
    "Inter": "fonts-inter",
    "Roboto": "fonts-roboto",
    "Noto Sans": "fonts-noto-core",
    "Noto Sans Arabic": "fonts-noto-core",
    "Noto Sans Devanagari": "fonts-noto-core",
    "Noto Sans CJK SC": "fonts-noto-cjk",
    "Noto Color Emoji": "fonts-noto-color-emoji",
}
PROGRAMS = {
    "chromium": "apt-get install chromium",
    "node": "apt-get install nodejs npm",
    "npm": "apt-get install nodejs npm",
    "fc-list": "apt-get install fontconfig",
}


def prepare_tools(cache: Path = CACHE) -> dict[str, Path]:
    """Check programs and fonts and install the UI kits.

    Returns:
        Paths of "node", "chromium" and "kits" (the folder that holds `node_modules`).

    Raises:
        CalibrationDataError: Something is missing; the message names the command that installs it.
    """
    programs = {name: find_program(name) for name in ("chromium", "node")}
    check_fonts()
    return {**programs, "kits": install_kits(cache)}


def find_program(name: str) -> Path:
    """Path of a program.

    Raises:
        CalibrationDataError: It is not installed; the message names the command that installs it.
    """
    found = shutil.which(name)
    if not found:
        raise CalibrationDataError(f"{name} is not installed: run `{PROGRAMS[name]}`")
    return Path(found)


def check_fonts() -> None:
    """Check that every font family of the screens is installed.

    Raises:
        CalibrationDataError: Some are missing; the message names Debian's packages.
    """
    listed = subprocess.run(
        [find_program("fc-list"), ":", "family"], capture_output=True, text=True, check=True
    ).stdout
    families = {family.strip() for line in listed.splitlines() for family in line.split(",")}
    packages = sorted({package for family, package in FONTS.items() if family not in families})
    if packages:
        raise CalibrationDataError(f"fonts are missing: run `apt-get install {' '.join(packages)}`")


def same_packages(source: Path, folder: Path) -> bool:
    """Whether a folder holds the package files of `source`."""
    files = [folder / name for name in PACKAGE_FILES]
    return all(file.is_file() and file.read_bytes() == (source / file.name).read_bytes() for file in files)


def _installed(folder: Path) -> bool:
    """Whether the cache holds exactly the locked versions."""
    if not same_packages(PAGES, folder):
        return False
    locked = json.loads((PAGES / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    return all((folder / path / "package.json").is_file() for path in locked if path)


def install_kits(cache: Path = CACHE) -> Path:
    """Install the locked npm packages into `cache`, once.

    Returns:
        The folder that holds `node_modules`.

    Raises:
        CalibrationDataError: npm is missing or could not install them.
    """
    folder = cache / "kits"
    if _installed(folder):
        return folder
    npm = find_program("npm")
    with whole_folder(folder) as fresh:
        for name in PACKAGE_FILES:
            shutil.copy(PAGES / name, fresh / name)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=fresh, capture_output=True, text=True)
        if done.returncode:
            reason = next(
                (line for line in done.stderr.splitlines() if "error" in line.lower()), "no reason given"
            )
            raise CalibrationDataError(
                f"npm could not install the UI kits ({reason.strip()}): check the network and npm's registry"
            )
    return folder
