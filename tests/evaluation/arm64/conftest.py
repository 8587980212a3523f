"""The real emulator, and bundles to run on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from evaluation.__main__ import main
from evaluation.arm64.errors import SetupError
from evaluation.arm64.toolchain import Toolchain, ensure_toolchain
from runtime.bundle import file_sha256
from runtime.manifest import MANIFEST
from tests.conftest import missing
from tests.runtime.conftest import TINY, change_manifest


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """The emulator in the repository's cache, set up as the command line does."""
    try:
        return ensure_toolchain()
    except SetupError as error:
        missing(str(error))


@pytest.fixture
def run(capfd) -> Callable[..., Ended]:
    """The command line, in this process."""

    def call(*arguments: object) -> Ended:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        return Ended(code, *capfd.readouterr())

    return call


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A copy of the toy bundle that knows a latency limit."""
    folder = Path(shutil.copytree(TINY, tmp_path / "tiny"))
    edit_manifest(folder, lambda manifest: manifest["limits"].update(latency_ms=19))
    return folder


def edit_manifest(folder: Path, change: Callable[[dict], object]) -> None:
    """Changes a manifest, and brings its checksums up to date with the files that are there."""

    def change_all(manifest: dict) -> None:
        change(manifest)
        for name, entry in manifest["files"].items():
            if (folder / name).exists():
                entry["sha256"] = file_sha256(folder / name)

    change_manifest(folder, change_all)


def with_two_rows(bundle_dir: Path, folder: Path) -> Path:
    """Copies what the shipped model needs of a bundle, with only two golden rows: enough to count."""
    folder.mkdir()
    for name in (MANIFEST, "encoder.tflite"):
        shutil.copy(bundle_dir / name, folder / name)
    with np.load(bundle_dir / "golden.npz") as golden:
        np.savez(folder / "golden.npz", **{name: golden[name][:2] for name in golden.files})
    edit_manifest(folder, lambda manifest: None)
    return folder
