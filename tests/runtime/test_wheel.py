"""The wheel carries the runtime alone, as `pocket_encoder`, and works in an environment that has nothing else."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import runtime
from runtime import ScreenEncoder
from tests.conftest import missing

ROOT = Path(__file__).parents[2]
DEPENDENCIES = ("numpy", "numpy.libs", "PIL", "pillow.libs", "ai_edge_litert")
MEASURING = {"pocket_encoder.bench", "pocket_encoder.chart", "pocket_encoder.parity", "matplotlib"}

Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the checkout stays clean."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in ("runtime", "encoder", "export"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    build = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", source / "out", source)
    run = subprocess.run([sys.executable, "-m", "pip", *build], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return next((source / "out").glob("*.whl"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the installed package is used: no checkout is near."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def installed(wheel, folder) -> Run:
    """Runs a program of an environment that has the wheel and the packages that it names, linked, and no others."""
    venv.create(folder / "env", with_pip=False)
    [packages] = (folder / "env" / "lib").glob("python3.*/site-packages")
    for name in DEPENDENCIES:
        path = Path(find_spec("numpy").origin).parents[1] / name
        if path.exists():
            (packages / name).symlink_to(path)
    pip = [sys.executable, "-m", "pip", "--python", folder / "env" / "bin" / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    return runner(folder)


def runner(folder: Path) -> Run:
    """What runs a program of the environment in a folder."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def run(program: str, *arguments: object) -> subprocess.CompletedProcess:
        command = [str(argument) for argument in (folder / "env" / "bin" / program, *arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=clean)

    return run


def test_the_wheel_holds_every_file_of_the_runtime_and_no_other_package(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    own = [path.name for path in (ROOT / "runtime").iterdir() if path.suffix in (".py", ".tsv", ".typed")]
    assert names == {f"pocket_encoder/{name}" for name in own} and "py.typed" in own


def test_the_command_encodes_and_measures(installed, folder, tiny, screen):
    expected = ScreenEncoder.load(tiny).encode(screen, "see you at")
    encode = ("encode", tiny.resolve(), screen, "--text", "see you at", "--json")
    for program in (("pocket-encoder",), ("python", "-m", "pocket_encoder")):
        encoded = installed(*program, *encode)
        assert (encoded.returncode, encoded.stderr) == (0, "")
        np.testing.assert_allclose(json.loads(encoded.stdout)["embedding"], expected, atol=1e-6)
        assert installed(*program, "rank", "--help").stdout.startswith(f"usage: {' '.join(program)} rank ")
    refused = installed("pocket-encoder", *encode, "--engine", "onnx")
    assert refused.returncode == 2 and "pip install" in refused.stderr and refused.stderr.count("\n") == 1
    chosen = ("--engine", "tflite", "--precision", "int8")
    compared = installed("pocket-encoder", "parity", tiny.resolve(), *chosen)
    assert compared.returncode == 0, compared.stderr
    script = (
        "from pocket_encoder.bench import Bundle, measure_memory\n"
        f"assert measure_memory(Bundle.load({str(tiny.resolve())!r}), processes=1).file_bytes"
    )
    measured = installed("python", "-c", script)
    assert measured.returncode == 0, measured.stderr


def test_importing_the_encoder_loads_no_engine_and_encoding_loads_nothing_that_measures(
    installed, tiny, screen
):
    script = (
        "import json, sys\nfrom pocket_encoder import ScreenEncoder, __version__\nimported = sorted(sys.modules)\n"
        f"from pocket_encoder.__main__ import main\nmain(['encode', {str(tiny.resolve())!r}, {str(screen)!r}])\n"
        "print(json.dumps([imported, sorted(sys.modules), __version__]))"
    )
    run = installed("python", "-c", script)
    assert run.returncode == 0, run.stderr
    imported, encoded, version = json.loads(run.stdout.splitlines()[-1])
    assert version == runtime.__version__
    assert not {"ai_edge_litert", "onnxruntime", "PIL"} & set(imported)
    assert "ai_edge_litert" in encoded and not MEASURING & set(encoded)


@pytest.mark.exhaustive
def test_pip_installs_what_the_wheel_needs_and_nothing_more(wheel, tiny, screen, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    run = runner(tmp_path)
    pip = run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    if "No matching distribution" in pip.stderr or "connection" in pip.stderr.lower():
        missing(f"no package index to install from: {pip.stderr.strip().splitlines()[-1]}")
    assert pip.returncode == 0, pip.stderr
    listed = run("python", "-m", "pip", "list", "--format=freeze").stdout.lower()
    found = {line.split("==")[0] for line in listed.splitlines()}
    assert {"pocket-encoder", "numpy", "pillow"} <= found
    assert not found & {"torch", "transformers", "tokenizers", "onnxruntime", "matplotlib"}
    encoded = run("pocket-encoder", "encode", tiny.resolve(), screen, "--text", "see", "--out", "out.npy")
    assert encoded.returncode == 0, encoded.stderr
    expected = ScreenEncoder.load(tiny).encode(screen, "see")
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-6)
