"""The committed counts: what may be written, and what the gate says."""

from __future__ import annotations

import json

import pytest

from evaluation.arm64 import baseline
from evaluation.arm64.errors import Arm64Error
from evaluation.arm64.profiles import choose
from evaluation.arm64.report import Arm64Report, SignatureCost


def report(vision: float, preset: str = "toy") -> Arm64Report:
    counts = {"vision": vision, "text": 2.0, "fuse": 0.5}
    costs = tuple(
        SignatureCost("tflite", "int8", "f", name, {"a76": count}, 0.0) for name, count in counts.items()
    )
    return Arm64Report(preset, tuple(choose(["a76"])), 19.0, {}, costs, (), (), ())


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "baseline.json"
    baseline.update(report(30.0), path)
    return path


def passed(path, vision: float) -> bool:
    return all(entry.passed for entry in baseline.compare(report(vision), baseline.load(path)))


def test_two_per_cent_more_pass_and_a_little_over_that_fails(path):
    assert passed(path, 30.6)
    assert not passed(path, 30.61)


def test_updating_lowers(path):
    baseline.update(report(20.0), path)
    assert not passed(path, 30.0)


def test_within_the_tolerance_a_higher_count_does_not_creep_in(path):
    baseline.update(report(30.5), path)
    assert baseline.load(path)["toy"]["a76"]["vision"] == 30.0


def test_updating_refuses_to_raise_unless_told_to(path):
    before = path.read_text()
    with pytest.raises(Arm64Error, match=r"only goes down: vision 30 -> 40 M.*--raise"):
        baseline.update(report(40.0), path)
    assert path.read_text() == before
    baseline.update(report(40.0), path, allow_raise=True)
    assert passed(path, 40.0)


def test_other_presets_are_kept_and_a_new_one_is_not_judged(path):
    found = baseline.compare(report(99.0, "other"), baseline.load(path))
    assert all(entry.passed and entry.committed_m_instructions is None for entry in found)
    baseline.update(report(99.0, "other"), path)
    assert baseline.load(path).keys() == {"toy", "other"}


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"m_instructions": {"toy": {"a76": {"vision": "much"}}}}', '{"m_instructions": 3}'],
)
def test_a_broken_file_is_named_and_can_be_replaced(path, text: str):
    path.write_text(text)
    with pytest.raises(Arm64Error, match="not a baseline"):
        baseline.update(report(30.0), path)
    baseline.update(report(30.0), path, allow_raise=True)
    assert passed(path, 30.0)


def test_a_model_that_did_not_run_has_no_count_to_compare(path):
    partial = Arm64Report("toy", tuple(choose(["a76"])), 19.0, {}, (), (), (), ())
    with pytest.raises(Arm64Error, match=r"vision .* did not run"):
        baseline.compare(partial, baseline.load(path))


def test_the_committed_file_reads():
    committed = json.loads(baseline.BASELINE_FILE.read_text())
    assert committed["tolerance"] == baseline.TOLERANCE
    assert baseline.load()["balanced"]["a76"].keys() == {"vision", "text", "fuse"}
