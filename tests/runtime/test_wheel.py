"""The wheel carries the runtime alone, and it runs in an environment that has nothing else."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

from runtime import ScreenEncoder
from tests.conftest import missing

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the checkout stays clean."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    for package in ("runtime", "encoder", "export"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        source / "out",
        source,
    ]
    run = subprocess.run(pip, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return next((source / "out").glob("*.whl"))


def test_the_wheel_holds_every_file_of_the_runtime_and_no_other_package(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        f"runtime/{path.name}" for path in (ROOT / "runtime").iterdir() if path.suffix in (".py", ".tsv")
    }
    assert names == expected


@pytest.mark.slow
def test_encode_works_in_an_environment_with_the_wheel_alone(wheel, tiny, screen, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def run(*arguments: object) -> subprocess.CompletedProcess:
        command = [str(argument) for argument in (python, "-m", *arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=clean)

    installed = run("pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    if "No matching distribution" in installed.stderr or "connection" in installed.stderr.lower():
        missing(f"no package index to install from: {installed.stderr.strip().splitlines()[-1]}")
    assert installed.returncode == 0, installed.stderr
    listed = run("pip", "list", "--format=freeze").stdout.lower()
    assert not any(
        f"\n{name}==" in f"\n{listed}" for name in ("torch", "transformers", "tokenizers", "onnxruntime")
    )
    encoded = run("runtime", "encode", tiny.resolve(), screen, "--text", "see you at", "--out", "out.npy")
    assert encoded.returncode == 0, encoded.stderr
    expected = ScreenEncoder.load(tiny).encode(screen, "see you at")
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-6)
    refused = run("runtime", "encode", tiny.resolve(), screen, "--engine", "onnx")
    assert refused.returncode == 2 and "pip install" in refused.stderr and refused.stderr.count("\n") == 1
