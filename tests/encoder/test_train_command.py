"""The training command as a user meets it: it trains, stops, resumes, and refuses what it cannot do."""

import json
import resource
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from encoder import build
from encoder.train.__main__ import main
from encoder.train.checkpoint import CHECKPOINT, PREVIOUS, load_checkpoint
from encoder.train.smoke import make_dataset
from encoder.weights import load_state
from tests.conftest import ROOT

QUICK = ("--stage", "context", "--teacher", "none", "--batch", "4", "--low-resolution-share", "1")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Six screens to train on and six to validate on."""
    return make_dataset(tmp_path_factory.mktemp("data") / "screens", per_split=6)


@pytest.fixture
def train(data, tmp_path, capsys):
    """Runs the command in this process; returns its exit code and what it said on stderr."""

    def run(*arguments: object, steps: int = 2) -> tuple[int, str]:
        given = ["--data", data, "--out", tmp_path / "run", "--steps", steps, *QUICK, *arguments]
        code = main([*map(str, given)])
        return code, capsys.readouterr().err

    return run


def one_line(error: str) -> str:
    """The last line, which says what is wrong; there is no other error and no traceback."""
    assert error.count("error: ") == 1 and "Traceback" not in error
    line = error.splitlines()[-1]
    assert line.startswith("error: ")
    return line


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_leaves_an_encoder_its_curves_and_its_figures(train, tmp_path):
    code, shown = train()
    assert code == 0 and "validation after step 2" in shown
    out = tmp_path / "run"
    state = load_file(out / "encoder.safetensors")
    assert {tensor.dtype for tensor in state.values() if tensor.is_floating_point()} == {torch.float16}
    load_state(build({}), out / "encoder.safetensors")  # the export reads it as it is
    lines = [json.loads(line) for line in (out / "context" / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["split"]) for line in lines] == [
        (1, "train"),
        (2, "train"),
        (2, "validation"),
    ]
    assert {"target", "caption", "boxes", "looks", "loss"} <= lines[0].keys()
    assert (out / "context" / "curves.png").read_bytes().startswith(b"\x89PNG")
    summary = json.loads((out / "summary.json").read_text())
    assert summary["steps"] == 2 and summary["screens"] == {"train": 6, "validation": 6}


def test_a_killed_run_resumes_to_the_same_bits(train, data, tmp_path):
    assert train(steps=5)[0] == 0
    whole = load_checkpoint(tmp_path / "run" / "context")[0]
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "encoder.train", "--data", data, "--out", killed, "--steps", 5]
    command += [*QUICK, "--save-every", "1e-9"]
    process = subprocess.Popen([*map(str, command)], cwd=ROOT, stderr=subprocess.DEVNULL)
    while not (killed / "context" / CHECKPOINT).is_file() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 1 <= load_checkpoint(killed / "context")[1]["step"] < 5
    assert train("--out", killed, "--resume", steps=5)[0] == 0
    assert same(load_checkpoint(killed / "context")[0], whole)
    steps = [
        json.loads(line)["step"] for line in (killed / "context" / "metrics.jsonl").read_text().splitlines()
    ]
    assert steps == [1, 2, 3, 4, 5, 5]  # nothing twice, nothing missing; the last is the validation


def test_a_run_is_not_overwritten_and_not_resumed_with_other_settings(train, tmp_path):
    assert train()[0] == 0
    before = (tmp_path / "run" / "context" / CHECKPOINT).read_bytes()
    code, error = train()
    assert code == 2 and "holds a run already: add --resume, or choose another --out" in one_line(error)
    code, error = train("--resume", "--rate", "0.002", "--seed", "4")
    assert code == 2
    assert "rate was 0.001, now 0.002" in one_line(error) and "seed was 0, now 4" in one_line(error)
    assert "batch" not in one_line(error)
    assert (tmp_path / "run" / "context" / CHECKPOINT).read_bytes() == before


def test_a_loss_that_is_no_number_stops_the_run(train, tmp_path):
    code, error = train("--rate", "1e30", "--save-every", "1e-9", steps=9)
    assert code == 1
    assert "the loss is no number at step " in one_line(error) and "try a lower --rate" in one_line(error)
    step = int(one_line(error).split(" at step ")[1].split()[0])
    assert load_checkpoint(tmp_path / "run" / "context")[1]["step"] <= step
    assert not (tmp_path / "run" / "encoder.safetensors").exists()


def test_a_full_disk_is_told_in_one_line_and_keeps_the_last_checkpoint(train, tmp_path):
    assert train()[0] == 0
    before = (tmp_path / "run" / "context" / CHECKPOINT).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))  # files of a megabyte at most
    try:
        code, error = train("--out", tmp_path / "other")
        assert code == 2 and "cannot be written: File too large" in one_line(error)
        assert not list((tmp_path / "other").rglob("*.safetensors*"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "run" / "context" / CHECKPOINT).read_bytes() == before


def test_a_damaged_checkpoint_gives_way_to_the_one_before(train, tmp_path):
    assert train("--save-every", "1e-9")[0] == 0
    path = tmp_path / "run" / "context" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-1000])
    assert load_checkpoint(path.parent)[1]["step"] == 2  # saved after the step, and again at the end
    assert train("--resume")[0] == 0
    for name in (CHECKPOINT, PREVIOUS):
        (path.parent / name).write_bytes(b"\x80\x04pickle")
    code, error = train("--resume")
    assert code == 2 and "not a readable checkpoint" in one_line(error)


def test_training_starts_from_a_file_and_imitates_a_teacher(train, tmp_path):
    assert train(steps=1)[0] == 0
    weights = tmp_path / "run" / "encoder.safetensors"
    code, _ = train("--out", tmp_path / "student", "--init", weights, "--teacher", weights, "--rate", "1e-9")
    assert code == 0
    first = json.loads((tmp_path / "student" / "context" / "metrics.jsonl").read_text().splitlines()[0])
    # It starts as its teacher: only batch norm, which is training, and dropped parts tell them apart.
    assert first["teacher_text"] < 1e-4 and first["teacher_screen"] < 0.6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "/nowhere"), "/nowhere: no samples.jsonl there"),
        (("--preset", "huge"), "unknown preset 'huge'; valid presets: balanced"),
        (("--init", "gone.safetensors"), "gone.safetensors"),
        (("--teacher", "gone.safetensors"), "gone.safetensors: no such weights file"),
        (("--time-limit", "5"), "--time-limit and --steps exclude each other"),
    ],
)
def test_bad_input_is_told_in_one_line(train, tmp_path, arguments, message):
    code, error = train(*arguments)
    assert code == 2 and message in one_line(error)
    assert not (tmp_path / "run" / "context" / CHECKPOINT).exists()


@pytest.mark.parametrize("option", [("--steps", "0"), ("--low-resolution-share", "2"), ("--stap", "1")])
def test_bad_options_are_told_in_one_line(option, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*option])
    assert ended.value.code == 2 and "error: " in one_line(capsys.readouterr().err)


def test_the_smoke_run_passes(tmp_path, capsys):
    assert main(["--smoke", "--out", str(tmp_path / "smoke")]) == 0
    assert "to the bit" in " ".join(capsys.readouterr().err.split())
