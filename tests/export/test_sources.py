"""Keys of the cache cover all that a step reads, and nothing that it does not."""

import functools
import json
import os
import shutil
import subprocess
import sys

import pytest

from evaluation import sources
from evaluation.sources import PACKAGES, sources_of
from export.pipeline import BUNDLE
from export.steps.table import STEPS
from tests.conftest import ROOT

TINY = {
    "backbone": "mobilenetv3_small", "global_projection": "avg_pool_mlp", "text_model": "custom_lstm",
    "fusion": "cross_attention_only", "image_size": [64, 64], "text_max_length": 8,
}  # fmt: skip
NOTHINGS = {
    "encoder/train/loop.py", "benchmarks/ablation/tables.py", "benchmarks/rows.py", "runtime/session.py",
}  # fmt: skip
"""Files of which no step makes use."""
EDIT_ALL = """
import json
import sys
from types import SimpleNamespace

from export import pipeline

from evaluation import sources
from export.steps.table import STEPS

request = SimpleNamespace(inputs=lambda: dict.fromkeys("preset config seed sources samples recipe keep_names".split()))

def keys():
    sources.content_sha256.cache_clear()
    folders = {name: folder.name for name, folder in pipeline._folders(request).items()}
    return folders | {"bundle": pipeline.inputs_sha256(request)}

before, again = keys(), {}
for name in json.load(sys.stdin):
    path = sources.ROOT / name
    content = path.read_bytes()
    path.write_bytes(content + b"\\n")
    now = keys()
    again[name] = [step for step in before if now[step] != before[step]]
    path.write_bytes(content)
print(json.dumps(again))
"""


def own(paths) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in paths}


@functools.cache
def files_of(module: str) -> frozenset[str]:
    return frozenset(own(sources_of(module, "export.worker")))


def needed(name: str) -> set[str]:
    """A step and all that it needs."""
    step = next(step for step in STEPS if step.name == name)
    return {name}.union(*map(needed, step.needs))


@pytest.fixture(scope="module")
def run_again(tmp_path_factory) -> dict[str, list[str]]:
    """Edits each file of a copy of the project for real: file -> the steps that then run again."""
    copy = tmp_path_factory.mktemp("project")
    for package in PACKAGES:
        left_out = shutil.ignore_patterns("__pycache__", "screens", "checkpoints")
        shutil.copytree(ROOT / package, copy / package, ignore=left_out)
    keyed = {name for step in (*STEPS, BUNDLE) for name in files_of(step.module)}
    names = NOTHINGS | {name for name in keyed if "/screens/" not in name}
    result = subprocess.run(
        [sys.executable, "-c", EDIT_ALL], cwd=copy, env=os.environ | {"PYTHONPATH": str(copy)},
        input=json.dumps(sorted(names)), capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_each_file_that_a_step_uses_makes_it_run_again_and_no_other(run_again):
    for name, steps in run_again.items():
        using = {step.name for step in STEPS if name in files_of(step.module)}
        expected = {step.name for step in STEPS if needed(step.name) & using}
        bundle = {"bundle"} if expected or name in files_of(BUNDLE.module) else set()
        assert set(steps) == expected | bundle, name


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("calibration_data/region_cells.py", "quality"),
        ("calibration_data/test_split/captions.json", "quality"),
        ("encoder/assets/vocab.txt", "inputs"),
        ("encoder/tokenizers.py", "inputs"),
        ("encoder/modules/mobilesam.py", "encoder"),
        ("export/passes/bands.py", "tflite"),
        ("export/quantize/tensor_names.py", "tflite_int8"),
        ("runtime/litert_c.py", "parity"),
        ("export/worker.py", "golden"),
        ("evaluation/arm64/target/main.py", "arm64"),
        ("evaluation/arm64/profiles.toml", "arm64"),
        ("export/report/template.html", "bundle"),
    ],
)
def test_what_decides_a_step_makes_it_run_again(run_again, name, step):
    assert step in run_again[name]


def test_what_decides_nothing_makes_nothing_run_again(run_again):
    for name in ("export/report/html.py", "export/report/template.html", "evaluation/terminal/format.py"):
        assert run_again[name] == ["bundle"]
    assert not any(run_again[name] for name in NOTHINGS)
    keyed = {name for step in (*STEPS, BUNDLE) for name in files_of(step.module)}
    assert not [name for name in keyed if "checkpoints" in name or name.endswith("results.json")]


def test_kept_results_depend_on_the_engines():
    for module in ("evaluation.quality.outputs", "evaluation.arm64.runs"):
        assert {"runtime/engines.py", "runtime/litert.py", "runtime/litert_c.py"} <= own(sources_of(module))


@pytest.mark.exhaustive
def test_a_step_opens_no_file_and_asks_for_nothing_that_its_key_does_not_cover(bundle_dir, tmp_path):
    """All steps for real: a tiny encoder up to its parity, then those that measure the default one."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(TINY))
    command = [sys.executable, "-m", "tests.export.audit_steps"]
    audits = []
    for name, arguments in (("tiny", [str(config)]), ("default", [])):
        (tmp_path / name).mkdir()
        call = [*command, str(tmp_path / name), *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        audits.append(subprocess.Popen(call, cwd=ROOT, text=True, **pipes))
    found = {}
    for audit in audits:
        found |= json.loads(audit.communicate()[0].splitlines()[-1])
    assert sorted(found) == sorted(step.name for step in STEPS)
    for step in STEPS:
        opened = {name for name in found[step.name]["opened"] if not in_request(name, step.uses)}
        assert {f"{step.module.replace('.', '/')}.py"} <= opened <= own(sources_of(step.module)), step.name
        assert set(found[step.name]["asked"]) <= {"config", *step.uses}, step.name


def in_request(name: str, uses: tuple[str, ...]) -> bool:
    """Whether a file is one that the request's own keys cover."""
    return "samples" in uses and name.startswith("calibration_data/screens/")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one's own: writes files, and returns what a module depends on."""
    caches = (sources_of, sources.content_sha256, sources._path, sources._read)
    monkeypatch.setattr(sources, "ROOT", tmp_path)

    def ask(files: dict[str, str], module: str) -> set[str]:
        for cache in caches:
            cache.cache_clear()
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return {path.relative_to(tmp_path).as_posix() for path in sources_of(module)}

    yield ask
    for cache in caches:
        cache.cache_clear()


def test_imports_are_followed_wherever_they_stand(project):
    files = {
        "export/a.py": "import json\nimport numpy\nfrom export import b\n",
        "export/b.py": "def f():\n    from runtime.c import D\n    return D\n",
        "export/__init__.py": "",
        "runtime/c.py": "try:\n    import encoder.e as e\nexcept ImportError:\n    from . import d\nD = 1\n",
        "runtime/d.py": "",
        "encoder/e.py": "",
    }
    assert project(files, "export.a") == {*files}


def test_imports_for_type_checkers_do_not_count(project):
    text = "import typing\nif typing.TYPE_CHECKING:\n    import export.b\nelse:\n    import export.c\n"
    files = {"export/a.py": text, "export/b.py": "", "export/c.py": ""}
    assert project(files, "export.a") == {"export/a.py", "export/c.py"}


def test_a_package_that_is_passed_through_runs_only_its_top(project):
    files = {
        "export/a.py": "from encoder.config import X\n",
        "export/b.py": "from encoder import build\n",
        "encoder/__init__.py": "from encoder import log\ndef build():\n    from encoder.model import build\n",
        "encoder/config.py": "X = 1\n",
        "encoder/log.py": "",
        "encoder/model.py": "",
    }
    through = {"encoder/__init__.py", "encoder/log.py"}
    assert project(files, "export.a") == {"export/a.py", "encoder/config.py"} | through
    assert project(files, "export.b") == {"export/b.py", "encoder/model.py"} | through


def test_data_counts_where_a_module_names_it(project):
    names = 'A = HERE / "a.tsv"\nB = ROOT / "encoder/b.json"\nC = HERE / "parts/c"\nD = HERE / "d"\nE = "README.md"\n'
    files = {
        "export/a.py": names, "export/a.tsv": "", "encoder/b.json": "", "export/parts/c/1": "",
        "export/parts/c/2/3": "",
    }  # fmt: skip
    others = {"export/d/4": "", "export/other.tsv": "", "README.md": ""}
    assert project(files | others, "export.a") == {*files}


def test_a_module_that_is_not_there():
    with pytest.raises(ModuleNotFoundError, match=r"no module 'export\.gone' in this project"):
        sources_of("export.gone")
