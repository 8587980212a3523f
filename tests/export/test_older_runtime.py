"""The shipped file also runs on TensorFlow Lite 2.16.1, the newest Android archive on Maven Central."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks.processes import find_python
from runtime.metrics import mean_centred_cosine
from tests.conftest import ROOT, missing

FOLDER = ROOT / "tests" / "data" / "older_runtime"
ENVIRONMENT = Path(os.environ.get("POCKET_CACHE") or ROOT / "build") / "older_runtime"
ROWS = 8


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of an environment that holds TensorFlow alone; made once, since it needs another numpy.

    TensorFlow 2.16.1 has no wheels for Pythons after 3.12.
    """
    interpreter, stamp = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "requirements.txt"
    wanted = (FOLDER / "requirements.txt").read_text()
    if not stamp.is_file() or stamp.read_text() != wanted:
        try:
            found = find_python("3.9", "3.12")
        except LookupError as error:
            missing(str(error))
        subprocess.run([found, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        install = [interpreter, "-m", "pip", "install", "--quiet", "-r", FOLDER / "requirements.txt"]
        subprocess.run(install, check=True)
        stamp.write_text(wanted)
    return interpreter


@pytest.mark.exhaustive  # its environment holds TensorFlow: minutes from an empty cache
def test_the_shipped_file_runs_on_tensorflow_lite_2_16(bundle_dir, python):
    command = [python, FOLDER / "run.py", bundle_dir / "encoder.tflite", bundle_dir / "golden.npz", str(ROWS)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["version"] == "2.16.1"
    with np.load(bundle_dir / "golden.npz", allow_pickle=False) as golden:
        expected = golden["embedding"][:ROWS]
    assert mean_centred_cosine(np.array(found["embeddings"]), expected).min() >= 0.95
