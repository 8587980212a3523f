"""The runtime stands alone: importing it is quick and loads nothing heavy."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "transformers", "ai_edge_litert", "onnxruntime", "PIL", "encoder", "export"}
FOREIGN = {"torch", "transformers", "tokenizers", "rich", "encoder", "export", "calibration_data", "tests"}


def loaded_by(code: str) -> tuple[float, set[str]]:
    """Seconds that the code takes in a fresh process, and the top-level modules that it leaves."""
    script = (
        "import json, sys, time\nbegin = time.perf_counter()\n"
        f"{code}\n"
        "took = time.perf_counter() - begin\n"
        "print(json.dumps([took, sorted({name.split('.')[0] for name in sys.modules})]))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    took, modules = json.loads(run.stdout)
    return took, set(modules)


def test_importing_the_runtime_is_quick_and_loads_nothing_heavy():
    seconds, modules = zip(*(loaded_by("import runtime") for _ in range(3)), strict=True)
    assert min(seconds) < 0.3
    assert not modules[0] & HEAVY


def test_the_encoder_class_itself_loads_no_engine():
    _, modules = loaded_by("from runtime import ScreenEncoder")
    assert not modules & HEAVY


def test_every_module_of_the_runtime_keeps_to_its_own_dependencies():
    names = [f"runtime.{path.stem}" for path in (ROOT / "runtime").glob("*.py") if path.stem != "__init__"]
    assert "runtime.session" in names
    _, modules = loaded_by("\n".join(f"import {name}" for name in sorted(names)))
    assert not modules & (FOREIGN | {"ai_edge_litert", "onnxruntime"})


def test_no_engine_keeps_an_identity_of_the_user(tmp_path):
    """ONNX Runtime's reports to its makers begin with files in the folders for temporary files and of the user."""
    script = (
        "import numpy as np\nfrom runtime import ScreenEncoder\nfor engine in ('tflite', 'onnx'):\n"
        "    encoder = ScreenEncoder.load('tests/data/tiny_bundle', engine, weight_cache=False)\n"
        "    encoder.encode(np.zeros((9, 9, 3), np.uint8), 'see')"
    )
    hidden = ("CI", "ORT_DISABLE_TELEMETRY")  # either turns them off by itself
    own = {key: value for key, value in os.environ.items() if key not in hidden}
    own |= dict.fromkeys(("TMPDIR", "HOME", "XDG_CACHE_HOME"), str(tmp_path))
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=own, check=True)
    assert not list(tmp_path.iterdir())


def test_an_unknown_name_is_an_attribute_error():
    _, modules = loaded_by("import runtime\nassert not hasattr(runtime, 'nothing')")
    assert "numpy" not in modules
