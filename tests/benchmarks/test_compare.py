"""A comparison end to end on the toy bundle, with one real baseline and baselines that fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.baselines import BASELINES, Baseline
from benchmarks.chart import write_chart
from benchmarks.compare import Comparison, compare
from benchmarks.inputs import Inputs, prepare
from benchmarks.processes import last_line
from benchmarks.rows import OURS
from runtime.bundle import Bundle
from runtime.errors import InputError
from tests.conftest import ROOT

TINY = ROOT / "tests" / "data" / "tiny_bundle"
FLOAT = Baseline("float", "copy", "tests.benchmarks.baselines", "a copy", ("numpy",))
REAL = Baseline(
    "dynamic", "ai-edge-quantizer", "benchmarks.baselines.ai_edge_quantizer", "its recipe",
    ("ai-edge-quantizer",), "dynamic_wi8_afp32", "float",
)  # fmt: skip
CRASH = Baseline("crash", "converter", "tests.benchmarks.baselines", "", ("numpy",), "crash")
AFTER = Baseline("after", "converter", "tests.benchmarks.baselines", "", ("numpy",), "", "crash")
GARBAGE = Baseline("garbage", "converter", "tests.benchmarks.baselines", "", ("numpy",), "garbage")
ALL = (FLOAT, REAL, CRASH, AFTER, GARBAGE)


def measured(root: Path, *, only=(), said=None) -> Comparison:
    bundle = Bundle.load(TINY)
    inputs = Inputs(bundle.manifest["config"], TINY / "none", TINY / "golden.npz", "tiny")
    said = said if said is not None else []
    steps = lambda done, total, what: said.append((done, total, what))  # noqa: E731
    return compare(bundle, inputs, root, baselines=ALL, only=only, emulate=False, on_progress=steps)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> tuple[Comparison, Path, list]:
    root, said = tmp_path_factory.mktemp("compare"), []
    return measured(root, said=said), root, said


@pytest.fixture
def rows(found):
    return {row.name: row for row in found[0].rows}


def test_a_real_baseline_is_measured(rows):
    ours, real = rows[OURS], rows["dynamic"]
    assert not real.error and real.version and real.how == "its recipe"
    assert 0 < real.file_bytes != rows["float"].file_bytes
    assert real.p50_ms > 0 and real.ratio > 0 and real.load_ms > 0 and real.export_s > 0
    assert 0.9 < real.cosine_min <= real.cosine_mean <= 1 and -1 <= real.mean_centred_cosine_min <= 1
    assert rows["float"].mean_centred_cosine_min == pytest.approx(1, abs=1e-6)
    assert ours.ratio == 1 and ours.file_bytes == (TINY / "encoder.tflite").stat().st_size


def test_a_baseline_that_fails_is_a_row_with_its_error(rows):
    assert rows["crash"].error == "RuntimeError: no kernel for Frobnicate"
    assert rows["after"].error == rows["crash"].error  # it starts from those files
    assert rows["crash"].file_bytes is None and rows["crash"].ratio is None


def test_files_that_do_not_open_are_a_row_with_its_error(rows):
    assert rows["garbage"].error.startswith("does not run here: ") and "\n" not in rows["garbage"].error
    assert rows["garbage"].file_bytes == len(b"no model") and rows["garbage"].ratio is None


def test_without_the_emulator_the_rows_say_so(rows):
    assert rows[OURS].m_instructions is None and rows[OURS].not_counted == "not asked for"


def test_progress_reaches_its_end(found):
    said = found[2]
    assert all(done < total for done, total, _ in said) and said[-1][0] == said[-1][1] - 1
    assert any(what == "dynamic: export" for *_, what in said)


def test_a_second_run_exports_nothing_that_is_there(found):
    said = []
    again = measured(found[1], only=["float", "dynamic"], said=said)
    assert [row.name for row in again.rows] == [OURS, "float", "dynamic"]
    assert not any(what.endswith(": export") for *_, what in said)


def test_chart_is_a_picture(found, tmp_path):
    write_chart(found[0], tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_sources_come_before_what_starts_from_them():
    names = [baseline.name for baseline in BASELINES]
    assert len(set(names)) == len(names)
    assert all(
        baseline.source in names[: names.index(baseline.name)] for baseline in BASELINES if baseline.source
    )


def test_weights_that_are_not_the_bundles_are_refused(tmp_path):
    bundle = Bundle.load(TINY)
    bundle.manifest["config"] = {"image_size": [64, 64], "backbone_pretrained": False}
    bundle.manifest["weights"]["sha256"] = "0" * 64
    with pytest.raises(InputError, match="export it again, or name its file with --weights"):
        prepare(bundle, tmp_path)
    assert not list((tmp_path / "inputs").iterdir())


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("INFO: begin\nValueError: bad axis\nbye\n", 1, "ValueError: bad axis"),
        ("no error named\n", 3, "no error named"),
        ("", 2, "exit status 2"),
        ("loading\n", -6, "ended by SIGABRT: loading"),
        ("", -9, "ended by SIGKILL"),
        ("x" * 500, 1, "x" * 157 + "..."),
    ],
)
def test_why_a_process_failed_is_one_line(text, code, line):
    assert last_line(text, code) == line


def test_calibration_samples_are_of_batch_one(tmp_path):
    from benchmarks.baselines.job import Job

    job = Job({}, tmp_path, TINY / "golden.npz", tmp_path)
    samples = job.samples("text")
    assert len(samples) == 4 and samples[0].keys() == {"input_ids", "attention_mask"}
    assert all(array.shape == (1, 64) and array.dtype == np.int32 for array in samples[0].values())
    assert Job.from_dict(job.to_dict()) == job
