"""The export command as a user meets it: bad input is refused in one line, an interrupted or repeated run does no harm."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from export.__main__ import main
from export.pipeline import find_unchanged
from export.request import read_request
from runtime.bundle import Bundle
from runtime.manifest import DIGEST, MANIFEST
from tests.conftest import ROOT
from tests.runtime.conftest import TINY, change_manifest

LINES = (ROOT / "calibration_data" / "samples.jsonl").read_text().splitlines()


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "export", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
    )


@pytest.fixture
def refused(tmp_path, capsys):
    """Runs the command; checks exit 2, one line on stderr and no bundle; returns the line."""

    def check(*arguments: object) -> str:
        out = tmp_path / "bundle"
        code = main([*map(str, arguments), "--out", str(out)])
        output = capsys.readouterr()
        assert code == 2, output.err
        assert output.err.startswith("error: ") and output.err.count("\n") == 1
        assert not out.exists() and not list(tmp_path.glob(".bundle*"))
        return output.err

    return check


@pytest.fixture
def folder(tmp_path) -> Path:
    """A small calibration folder of one's own: 8 screens of each split."""
    folder = tmp_path / "screens"
    (folder / "screens").mkdir(parents=True)
    samples = [json.loads(line) for line in LINES]
    chosen = [
        sample
        for split in ("calibration", "parity")
        for sample in [item for item in samples if item["split"] == split][:8]
    ]
    for sample in chosen:
        shutil.copy(ROOT / "calibration_data" / sample["image"], folder / sample["image"])
    write(folder, chosen)
    return folder


def write(folder: Path, samples: list) -> None:
    (folder / "samples.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in samples))


def read(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def test_unknown_preset_and_option(refused):
    assert "unknown preset 'huge'; valid presets: balanced" in refused("huge")
    result = run("balanced", "--weight")
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert "unknown argument --weight; the options are " in result.stderr and "--weights, " in result.stderr


def test_bad_config(tmp_path, refused):
    config = tmp_path / "config.json"
    assert "config.json: no such config file" in refused("--config", config)
    config.write_text("{")
    assert "config.json: not valid JSON" in refused("--config", config)
    config.write_text('{"fusion_head": 8}')
    assert "unknown config key 'fusion_head'; valid keys: backbone" in refused("--config", config)
    config.write_text('{"fusion_heads": "8"}')
    assert "fusion_heads is '8'; it must be of type int" in refused("--config", config)
    config.write_text('{"image_size": [100, 100]}')
    assert "image_size 100x100 does not fit mobilevit_xxs" in refused("--config", config)
    config.write_text('{"roi_method": "quadtree"}')
    assert "unknown roi_method 'quadtree'; valid options: fixed_grid" in refused("--config", config)


def test_bad_weights(tmp_path, refused):
    assert "gone.safetensors: no such weights file" in refused("--weights", tmp_path / "gone.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"\x80\x04pickle")
    assert "w.safetensors: not a readable safetensors file" in refused(
        "--weights", tmp_path / "w.safetensors"
    )


def test_bad_recipe(tmp_path, refused):
    recipe = json.loads((ROOT / "export" / "quantize" / "recipes" / "balanced.json").read_text())
    path = tmp_path / "recipe.json"
    recipe["tflite"]["rules"][0]["precision"] = "int3"
    path.write_text(json.dumps(recipe))
    assert "tflite.rules[0].precision is 'int3'; valid: static_int8" in refused("--recipe", path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "train"}, "samples.jsonl:3: split is 'train'; valid: calibration, parity"),
        ({"image": "screens/none.webp"}, "samples.jsonl:3: no such image: screens/none.webp"),
        ({"image": "../../secret.webp"}, "samples.jsonl:3: image '../../secret.webp' lies outside"),
        ({"txt": "x"}, "samples.jsonl:3: unknown key txt; valid keys: id, split, image, text"),
        ({"text": 5}, "samples.jsonl:3: text is 5, which is of the wrong type"),
        ({"user": [0.0] * 63}, "samples.jsonl:3: user must be 64 finite numbers"),
        ({"user": [1e299] * 64}, "samples.jsonl:3: user must be 64 finite numbers of float32"),
        ({"user": [10**60] * 64}, "samples.jsonl:3: user must be 64 finite numbers of float32"),
    ],
)
def test_bad_samples_are_named_by_line(folder, refused, change, message):
    samples = read(folder)
    samples[2].update(change)
    write(folder, samples)
    assert message in refused("--calibration-data", folder)


def test_bad_calibration_folders(tmp_path, folder, refused):
    (tmp_path / "empty").mkdir()
    assert "empty: no samples.jsonl there" in refused("--calibration-data", tmp_path / "empty")
    samples = read(folder)
    write(folder, samples[1:])
    assert "7 samples of split 'calibration'; at least 8 are needed" in refused("--calibration-data", folder)
    with open(folder / "samples.jsonl", "a") as file:
        file.write("{not json\n")
    assert "samples.jsonl:16: not valid JSON" in refused("--calibration-data", folder)
    write(folder, samples)
    path = folder / samples[5]["image"]
    path.write_bytes(path.read_bytes()[:200])
    line = refused("--calibration-data", folder)
    assert f"sample {samples[5]['id']!r}" in line and path.name in line


def test_a_folder_that_is_no_bundle_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main(["--out", str(tmp_path)]) == 2
    assert "exists and is not a bundle; it is left alone" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_with_another_programs_manifest_is_left_alone(tmp_path, capsys):
    (tmp_path / "manifest.json").write_text('{"manifest_version": 3}')
    assert main(["balanced", "--out", str(tmp_path)]) == 2
    assert "exists and is not a bundle; it is left alone" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_unchanged_inputs_do_no_work(bundle_dir):
    before = {path.name: path.stat().st_mtime_ns for path in bundle_dir.iterdir()}
    result = run("balanced")
    assert result.returncode == 0 and "unchanged, nothing to do" in result.stdout
    assert before == {path.name: path.stat().st_mtime_ns for path in bundle_dir.iterdir()}


def old_form(folder: Path) -> None:
    """The manifest as earlier versions wrote it: schema_version 1, without a digest, with fewer keys."""
    manifest = json.loads((folder / MANIFEST).read_text())
    for key in (DIGEST, "budgets", "parameters"):
        manifest.pop(key, None)
    (folder / MANIFEST).write_text(json.dumps(manifest | {"schema_version": 1}))


def flip_a_bit(folder: Path) -> None:
    data = bytearray((folder / MANIFEST).read_bytes())
    data[data.index(b'"latency_ms": 19')] ^= 1
    (folder / MANIFEST).write_bytes(data)


SPOILT = {
    "another vocabulary": (lambda folder: (folder / "vocab.txt").write_text("[PAD]\n"), "vocab.txt: altered"),
    "a flipped bit": (flip_a_bit, "manifest.json: "),
    "an older form": (old_form, "schema_version 1 is unknown"),
    "no JSON": (lambda folder: (folder / MANIFEST).write_text("["), "not valid JSON"),
    "missing parts": (
        lambda folder: change_manifest(folder, lambda m: m.pop("budgets")),
        "no usable budgets",
    ),
}


@pytest.mark.parametrize(
    "spoil",
    [
        "another vocabulary",
        *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("an older form", "missing parts")),
    ],
)
def test_an_altered_bundle_is_told_of_and_made_again(bundle_dir, tmp_path, spoil):
    out = tmp_path / "bundle"
    shutil.copytree(bundle_dir, out)
    change, said = SPOILT[spoil]
    change(out)
    ended = run("balanced", "--out", out)
    assert ended.returncode == 0 and ended.stderr == ""
    told = [line for line in ended.stdout.splitlines() if "cannot be kept and is exported anew: " in line]
    assert len(told) == 1 and str(out) in told[0] and said in told[0]
    assert hashes(Bundle.load(out, verify=True)) == hashes(Bundle.load(bundle_dir))


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_bundle_that_cannot_be_kept_is_named_with_the_reason(tmp_path, spoil):
    out, told = Path(shutil.copytree(TINY, tmp_path / "bundle")), []
    change_manifest(out, lambda manifest: manifest["limits"].update(latency_ms=19))
    change, said = SPOILT[spoil]
    change_manifest(out, lambda manifest: manifest.update(budgets=[], parameters={"total": 1}))
    change(out)
    assert find_unchanged(read_request("balanced", out=out), told.append) is None
    assert len(told) == 1 and said in told[0] and "\n" not in told[0]


def test_where_there_is_no_bundle_nothing_is_told(tmp_path):
    told = []
    assert find_unchanged(read_request("balanced", out=tmp_path / "none"), told.append) is None
    assert told == []


@pytest.mark.exhaustive
def test_two_real_exports_at_once_do_not_mix(bundle_dir, tmp_path):
    out = tmp_path / "bundle"
    command = [sys.executable, "-m", "export", "balanced", "--out", str(out)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert hashes(Bundle.load(out, verify=True)) == hashes(Bundle.load(bundle_dir))
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.exhaustive
def test_a_real_export_that_is_killed_leaves_the_old_bundle(bundle_dir, tmp_path):
    out, cache = tmp_path / "bundle", tmp_path / "cache"
    shutil.copytree(bundle_dir, out)
    command = [sys.executable, "-m", "export", "balanced", "--seed", "1", "--out", str(out)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"POCKET_CACHE": str(cache)}, stdout=subprocess.DEVNULL
    )
    while not list((cache / "export").glob("*.*/*")) and process.poll() is None:
        time.sleep(0.1)  # until a step writes its first file
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert hashes(Bundle.load(out, verify=True)) == hashes(Bundle.load(bundle_dir))


def test_a_killed_worker_leaves_no_lock_to_warn_of(tmp_path):
    """Converters draw progress bars with tqdm, whose lock is one between processes."""
    script = """
from pathlib import Path
from types import SimpleNamespace

from tqdm import tqdm
from export import pipeline

if __name__ == "__main__":
    request = SimpleNamespace(out=Path("bundle").absolute())
    try:
        with pipeline._workers(request) as pool:
            assert pool.submit(tqdm.get_lock).exception()  # made there; it cannot be sent back
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        print("stopped")
"""
    (tmp_path / "script.py").write_text(script)
    environment = {**os.environ, "POCKET_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (result.stdout, result.stderr) == ("stopped\n", "")


@pytest.mark.exhaustive
def test_two_exports_from_scratch_are_the_same_to_the_byte(bundle_dir, tmp_path):
    result = run("balanced", "--out", tmp_path / "bundle", POCKET_CACHE=str(tmp_path / "cache"))
    assert result.returncode == 0, result.stderr
    assert hashes(Bundle.load(tmp_path / "bundle", verify=True)) == hashes(Bundle.load(bundle_dir))


def hashes(bundle: Bundle) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in bundle.files.items()}
