"""Whole measurements on the real emulator, of toy models."""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest

from evaluation import arm64
from evaluation.arm64.emulator import TargetFile, run_on_target
from evaluation.arm64.profiles import choose
from runtime import metrics
from runtime.bundle import BundleError
from tests.evaluation.arm64.conftest import TINY, edit_manifest

PARTS = ("vision", "text", "fuse")


def test_every_model_and_signature_is_counted_and_checked(toolchain, tiny, run):
    ended = run("arm64", tiny, "--profile", "a76", "--json")
    found = json.loads(ended.out)
    assert ended.code == (0 if found["passed"] else 1)
    assert not found["failures"]
    counted = {(cost["engine"], cost["precision"], cost["signature"]) for cost in found["costs"]}
    wanted = {("tflite", precision, part) for precision in ("int8", "fp32") for part in PARTS}
    wanted |= {("onnx", precision, part) for precision in ("int8", "fp32") for part in (*PARTS, "encode")}
    assert counted == wanted
    fp32 = [row for row in found["parity"] if row["precision"] == "fp32"]
    assert {row["against"] for row in fp32} == {"pytorch", "host"}
    assert all(row["passed"] and row["max_abs"] < 1e-4 for row in fp32)


def test_the_operators_add_up_to_the_count(toolchain, tiny):
    report = arm64.measure(tiny, ["a76"], [("tflite", "int8")])
    for part in PARTS:
        operators = sum(cost.m_instructions for cost in report.operators if cost.signature == part)
        assert operators == pytest.approx(report.m_instructions(part, "a76"), rel=0.05, abs=0.01)


def test_unchanged_models_are_not_run_again(toolchain, tiny):
    first = arm64.measure(tiny, ["a76"], [("tflite", "int8")])
    start = time.monotonic()
    second = arm64.measure(tiny, ["a76"], [("tflite", "int8")])
    assert time.monotonic() - start < 5
    assert second.to_dict() == first.to_dict()


def test_a_core_without_dot_product_runs_other_kernels(toolchain, bundle_dir, tmp_path):
    counts = {}
    for profile in choose(["a76", "pixel3a"]):
        work_dir = tmp_path / profile.name
        work_dir.mkdir()
        files = [TargetFile(bundle_dir / "encoder.tflite", ("text",), (0,))]
        target = run_on_target(toolchain, profile, files, bundle_dir / "golden.npz", work_dir)
        counts[profile.name] = target.counts["encoder.tflite"]["text"][0]
    assert counts["pixel3a"] > 1.2 * counts["a76"]


def test_rows_of_a_heavy_model_are_thinned_out_evenly(toolchain, bundle_dir, tmp_path):
    file = TargetFile(bundle_dir / "encoder.tflite", ("text",), tuple(range(32)), most_insns=1, fewest_rows=8)
    (core,) = choose(["a76"])
    target = run_on_target(toolchain, core, [file], bundle_dir / "golden.npz", tmp_path)
    rows = target.rows["encoder.tflite"]
    assert len(rows) == 8 and (rows[0], rows[-1]) == (0, 31) and set(np.diff(rows)) == {4, 5}
    found = np.load(target.outputs_dir / "text.text_token.npy")[:, 0]
    right = np.load(bundle_dir / "golden.npz")["text_token"][list(rows), 0]
    assert metrics.self_retrieval(found, right) == 1


@pytest.mark.parametrize("rows", [1, 8])  # of 8 rows, two processes run half each
def test_a_crash_is_shown_with_its_signal_and_the_others_still_run(toolchain, bundle_dir, tmp_path, rows):
    (core,) = choose(["a76"])
    older = dataclasses.replace(core, name="older", qemu_cpu="cortex-a72")  # lacks what its identity promises
    files = [
        TargetFile(bundle_dir / "encoder.tflite", ("text",), tuple(range(rows))),
        TargetFile(TINY / "fuse_fp32.onnx", ("fuse",), (0,)),
    ]
    target = run_on_target(toolchain, older, files, bundle_dir / "golden.npz", tmp_path)
    assert target.counts.keys() == {"fuse_fp32.onnx"}
    (failure,) = target.failures
    assert failure.file == "encoder.tflite"
    assert "SIGILL" in failure.reason
    assert any("Illegal instruction" in line for line in failure.last_lines)


def test_a_model_that_does_not_load_fails_alone(toolchain, tiny, run):
    (tiny / "text.onnx").write_bytes(b"not a model at all")
    edit_manifest(tiny, lambda manifest: None)
    ended = run("arm64", tiny, "--profile", "a76")
    assert ended.code == 1
    assert "FAILED text.onnx on a76: exit status 1" in ended.out
    assert "vision" in ended.out and "error:" not in ended.err


def test_counts_differ_between_fresh_processes_by_less_than_a_thousandth(toolchain, bundle_dir, tmp_path):
    counts = []
    for attempt in range(2):
        work_dir = tmp_path / str(attempt)
        work_dir.mkdir()
        files = [TargetFile(bundle_dir / "encoder.tflite", PARTS, (0,))]
        target = run_on_target(toolchain, choose(None)[0], files, bundle_dir / "golden.npz", work_dir)
        counts.append([target.counts["encoder.tflite"][part] for part in PARTS])
    found = np.array(counts)  # [process, signature, sample]
    assert (found.max(axis=(0, 2)) / found.min(axis=(0, 2)) - 1 < 0.001).all()


def test_a_bundle_without_limits_is_refused(toolchain, tiny):
    edit_manifest(tiny, lambda manifest: manifest.pop("limits"))
    with pytest.raises(BundleError, match=r"no usable limits\.latency_ms"):
        arm64.measure(tiny)


def test_an_altered_file_is_refused(tiny, run):
    (tiny / "encoder.tflite").write_bytes((tiny / "encoder.tflite").read_bytes() + b"\0")
    with pytest.raises(BundleError, match="altered"):
        arm64.measure(tiny)
    ended = run("arm64", tiny)
    assert ended.code == 2
    assert ended.err.count("\n") == 1 and ended.err.startswith("error: ") and "encoder.tflite" in ended.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["arm64", "nowhere"], "nowhere: no such bundle folder"),
        (
            ["arm64", "nowhere", "--profile", "pixel9"],
            "unknown profile 'pixel9': choose one of a76, pixel, pixel2, pixel3a",
        ),
        (["baseline", "nowhere"], "nowhere: no such bundle folder"),
    ],
)
def test_bad_use_is_one_line_and_exit_2(toolchain, run, arguments: list[str], problem: str):
    ended = run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[-1] == f"error: {problem}"
