"""A small bundle of real model files, screenshots, and the command line run as a user would."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from runtime.__main__ import main
from runtime.bundle import file_sha256
from runtime.json_text import read_json
from runtime.manifest import MANIFEST, write_manifest

TINY = Path(__file__).parents[1] / "data" / "tiny_bundle"


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def tiny() -> Path:
    """The committed bundle; not to be changed."""
    return TINY


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the bundle, to be damaged."""
    return Path(shutil.copytree(TINY, tmp_path / "bundle"))


@pytest.fixture
def screen(tmp_path: Path) -> Path:
    """A small screenshot file."""
    path = tmp_path / "screen.png"
    pixels = np.random.default_rng(3).integers(0, 256, (234, 108, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def command(capfd: pytest.CaptureFixture) -> Callable[..., Ended]:
    """Runs `python -m runtime` with these arguments in this process."""

    def run(*arguments: object) -> Ended:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse's way out
            code = stop.code
        captured = capfd.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


def change_manifest(folder: Path, change: Callable[[dict], None]) -> None:
    """Edits a bundle's manifest."""
    manifest = read_json(folder / MANIFEST)
    change(manifest)
    write_manifest(folder, manifest)


def accept_file(folder: Path, name: str) -> None:
    """Puts a changed file's own SHA-256 into the manifest."""
    digest = file_sha256(folder / name)
    change_manifest(folder, lambda manifest: manifest["files"][name].update(sha256=digest))
