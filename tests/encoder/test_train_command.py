"""The training command as a user meets it: it trains, stops, resumes, and refuses what it cannot do."""

import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from encoder import build
from encoder.config import CHECKPOINTS
from encoder.train import TrainError
from encoder.train.__main__ import main
from encoder.train.checkpoint import CHECKPOINT, load_checkpoint, publish
from encoder.weights import load_state
from evaluation.sources import sources_of
from tests.conftest import ROOT
from tests.encoder.tiny import TINY
from tests.encoder.training import arguments, one_line


def test_a_run_leaves_an_encoder_its_curves_and_its_figures(run):
    state = load_file(run / "encoder.safetensors")
    assert {tensor.dtype for tensor in state.values() if tensor.is_floating_point()} == {torch.float16}
    load_state(build(TINY["tiny"]), run / "encoder.safetensors")  # the export reads it as it is
    lines = [json.loads(line) for line in (run / "context" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 3] and lines[-1]["split"] == "validation"
    assert {"target", "caption", "boxes", "attributes", "loss"} <= lines[0].keys()
    figures = {"r1", "r1_no_screen", "r1_no_text", "r1_no_user", "screen_class", "mean_pairwise_cosine"}
    assert figures <= lines[-1].keys()
    assert (run / "context" / "curves.png").read_bytes().startswith(b"\x89PNG")
    summary = json.loads((run / "summary.json").read_text())
    assert summary["steps"] == 3 and summary["screens"] == {"train": 6, "validation": 6}


def test_word_vectors_are_left_on_the_grid_that_they_ship_in(run):
    state = load_file(run / "encoder.safetensors")
    rows = max((value for name, value in state.items() if name.startswith("text.")), key=len).float()
    levels = rows / (rows.abs().amax(1, keepdim=True) / 7).clamp(min=1e-6)
    assert len(rows) > 10_000 and (levels - levels.round()).abs().max() < 0.02


def test_a_killed_run_resumes_to_the_same_bits(train, run, data, tmp_path):
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "tests.encoder.tiny", *arguments(data, killed, "--save-every", "1e-9")]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    while not (killed / "context" / CHECKPOINT).is_file() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 1 <= load_checkpoint(killed / "context")[1]["step"] < 3
    assert train("--resume", out=killed)[0] == 0
    (found, _), (whole, _) = load_checkpoint(killed / "context"), load_checkpoint(run / "context")
    assert found.keys() == whole.keys() and all(torch.equal(found[name], whole[name]) for name in whole)
    lines = (killed / "context" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 3]  # nothing twice, nothing missing


def test_a_run_is_not_overwritten_and_not_resumed_with_other_settings(train, run):
    before = (run / "context" / CHECKPOINT).read_bytes()
    code, error = train(out=run)
    assert code == 2 and "holds a run already: add --resume, or choose another --out" in one_line(error)
    code, error = train("--resume", "--rate", "0.002", "--seed", "4", out=run)
    assert code == 2
    assert " rate was 0.001, now 0.002" in one_line(error) and "seed was 0, now 4" in one_line(error)
    assert "batch" not in one_line(error)
    assert train("--resume", out=run)[0] == 0  # done already
    assert (run / "context" / CHECKPOINT).read_bytes() == before


def test_a_loss_that_is_no_number_stops_the_run(train, tmp_path):
    code, error = train("--rate", "1e30", "--save-every", "1e-9", "--steps", "9")
    assert code == 1
    assert "the loss is no number at step " in one_line(error) and "try a lower --rate" in one_line(error)
    step = int(one_line(error).split(" at step ")[1].split()[0])
    assert 1 <= load_checkpoint(tmp_path / "run" / "context")[1]["step"] <= step
    assert not (tmp_path / "run" / "encoder.safetensors").exists()


def test_a_full_disk_is_told_in_one_line(train, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))  # files of a megabyte at most
    try:
        code, error = train("--steps", "1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 2 and "cannot be written: File too large" in one_line(error)
    assert not list((tmp_path / "run").rglob("*.safetensors*"))


def test_training_starts_from_a_file_and_imitates_a_teacher(train, run, tmp_path):
    weights = run / "encoder.safetensors"
    alone = ("--text-weight", "0")  # or the sentence encoder would embed all corpora first
    code, _ = train(
        "--init",
        weights,
        "--teacher",
        weights,
        *alone,
        "--rate",
        "1e-9",
        "--steps",
        "1",
        "--low-resolution-share",
        "0",
    )
    assert code == 0
    first = json.loads((tmp_path / "run" / "context" / "metrics.jsonl").read_text().splitlines()[0])
    # It starts as its teacher: only batch norm, which is training, and the dropped parts tell them apart.
    assert (
        first["teacher_text"] < 1e-3
        and 0 < first["teacher_screen"] < 0.6
        and first["teacher_embedding"] < 0.6
    )


def test_another_preset_gives_the_parts_that_are_the_same_and_frozen_text_stays(train, tmp_path):
    code, said = train(
        "--preset", "tiny_sam", "--init", "balanced", "--freeze-text", "--rate", "0.003", "--steps", "1"
    )
    assert code == 0 and "from balanced: backbone, global_view, text, user, fusion" in said
    before = load_file(CHECKPOINTS / "balanced.safetensors")
    after = load_file(tmp_path / "run" / "encoder.safetensors")
    text = {name for name in before if name.startswith("text.")}
    changed = {name for name in text if not torch.equal(before[name], after[name])}
    assert changed == {"text.projection.weight", "text.projection.bias"}
    assert not torch.equal(before["fusion.query"], after["fusion.query"])


def test_a_run_begins_aligned_once_and_says_how_near_it_came(train, run):
    other = f"tiny={run / 'encoder.safetensors'}"
    other = ("--preset", "tiny_other", "--align", other, "--freeze-vision")
    code, said = train(*other)
    assert code == 0 and "aligned with tiny=" in said and "fusion" not in said
    code, said = train(*other, "--resume")
    assert code == 0 and "aligned" not in said


def test_a_finished_run_is_published_with_its_card(run, tmp_path):
    path = publish(run, "tiny", ["--time-limit", "5", "--data", "my screens"], tmp_path)
    assert path.read_bytes() == (run / "encoder.safetensors").read_bytes()
    text = " ".join((tmp_path / "tiny.md").read_text().split())
    parts = "Apache-2.0", "Seed: 0", "--data 'my screens'", "3 steps of 4 screens", "text teacher: none"
    assert all(part in text for part in parts)
    publish(run, "tiny", ["--out", str(ROOT / "build/mine"), "--init", "/my/own.safetensors"], tmp_path)
    text = (tmp_path / "tiny.md").read_text()
    assert "--out build/mine --init own.safetensors`" in text  # no path of this machine
    with pytest.raises(TrainError, match="no finished run there"):
        publish(tmp_path / "nothing", "balanced", [], tmp_path)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--data", "/nowhere"), "/nowhere: no samples.jsonl there"),
        (("--data", str(ROOT / "calibration_data")), "split is 'calibration'; valid: train, validation"),
        (("--preset", "huge"), "unknown preset 'huge'; valid presets: balanced"),
        (("--init", "gone.safetensors"), "gone.safetensors: no such weights file"),
        (("--teacher", "gone.safetensors"), "gone.safetensors: no such weights file"),
        (("--align", "gone.safetensors"), "gone.safetensors: no such weights file"),
        (
            ("--disable-blocks", "stages_2.0"),
            "no residual block 'stages_2.0'; it has: stages_0.0, stages_1.1",
        ),
        (("--stage", "text"), "--teacher none: the text stage learns from a teacher"),
        (("--stage", "regions", "--publish"), "tiny has fixed regions"),
        (("--screens", "/x"), "--screens: only --stage vision learns from screens that have no labels"),
        (("--stage", "vision"), "--stage vision imitates another encoder: name it with --teacher"),
        (("--freeze-vision", "--teacher", "balanced"), "--freeze-vision cannot imitate a whole encoder"),
        (("--time-limit", "5"), "--time-limit and --steps exclude each other"),
    ],
)
def test_bad_input_is_told_in_one_line(train, tmp_path, more, message):
    code, error = train(*more)
    assert code == 2 and message in one_line(error)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    "option",
    [
        ("--steps", "0"),
        ("--rate", "-1"),
        ("--rate", "fast"),
        ("--seed", "-1"),
        ("--low-resolution-share", "2"),
        ("--stap", "1"),
    ],
)
def test_bad_options_are_told_in_one_line(option, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*option])
    assert ended.value.code == 2 and option[0] in one_line(capsys.readouterr().err)


@pytest.mark.exhaustive
def test_the_smoke_run_passes(tmp_path, capsys):
    assert main(["--smoke", "--out", str(tmp_path / "smoke")]) == 0
    assert "to the bit" in " ".join(capsys.readouterr().err.split())


def test_help_and_refusals_do_not_wait_for_torch(tmp_path):
    """What a user mistyped is said in a fraction of the seconds that PyTorch takes to load."""
    bad, held = str(tmp_path / "bad.safetensors"), str(tmp_path)
    (tmp_path / "text").mkdir()
    for path in (bad, tmp_path / "text" / CHECKPOINT):
        Path(path).write_bytes(b"no tensors")
    calls = [
        ["--preset", "huge"],
        ["--init", bad],
        ["--teacher", bad],
        ["--stage", "regions"],
        ["--stage", "text", "--teacher", "none"],
        ["--stage", "text", "--publish"],
        ["--stage", "text", "--out", held],
        ["prune", "--weights", bad],
        ["prune", "--stage", "text", "--out", held],
        ["--data", "/nowhere"],
        ["--teacher", "gone.safetensors"],
        ["--align", "gone.safetensors"],
        ["--init", "gone.safetensors"],
        ["--stage", "vision"],
        ["--screens", held],
        ["--time-limit", "5", "--steps", "3"],
        ["--freeze-vision", "--teacher", "balanced"],
        ["prune", "--preset", "balanced"],
        ["prune", "--teacher", "balanced"],
        ["prune", "--weights", "gone.safetensors"],
        ["prune", "--data", "/nowhere"],
        ["test-split", "--dataset", "/nowhere"],
        ["pruned"],
    ]
    code = f"""
import sys
from encoder.train.__main__ import main
print([main(call) for call in {calls}], main(["--help"]), "torch" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.splitlines()[-1] == f"{[2] * len(calls)} 0 False", found.stderr
    assert found.stderr.count("error: ") == len(calls)
    assert "did you mean 'prune'?" in found.stderr
    assert found.stderr.count("bad.safetensors: not a readable safetensors file") == 3
    assert found.stderr.count("holds a run already") == 2


@pytest.mark.parametrize("name", ["encoder.model", "encoder.weights", "encoder.tokenizers"])
def test_the_encoder_itself_reads_no_screens_and_knows_no_training(name):
    """Of ours it has the runtime's tokenizers, and of the calibration data what fetches pinned packages.

    Imports inside functions count: they are found in the text of the files.
    """
    files = {path.relative_to(ROOT).as_posix() for path in sources_of(name)}
    assert files and not {file for file in files if file.startswith(("encoder/train/", "export/"))}
    assert not files & {"runtime/session.py", "calibration_data/samples.py"}
