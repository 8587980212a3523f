"""Verdicts and sums, on made-up counts."""

from __future__ import annotations

import dataclasses

import pytest

from evaluation.arm64.emulator import Failure
from evaluation.arm64.profiles import choose
from evaluation.arm64.report import Arm64Report, ParityRow, SignatureCost, significant, sum_operators
from evaluation.budgets import arm64_parity_budgets


def cost(signature: str, **m_instructions: float) -> SignatureCost:
    return SignatureCost("tflite", "int8", "encoder.tflite", signature, m_instructions, 0.0)


def row(profile: str, value: float, passed: bool) -> ParityRow:
    check = {"metric": "cosine_min", "limit": 0.99, "value": value, "passed": passed}
    figures = {"max_abs": 0.1, "cosine_min": value, "mean_centred_cosine_min": 0.5, "self_retrieval": 1.0}
    return ParityRow(
        "tflite", "int8", profile, "composed", "pytorch", 2, **figures, checks=(check,), passed=passed
    )


@pytest.fixture
def report() -> Arm64Report:
    costs = (
        cost("vision", a76=30.0, pixel=80.0),
        cost("text", a76=2.0, pixel=6.0),
        cost("fuse", a76=0.5, pixel=2.0),
    )
    parity = (row("a76", 0.995, True), row("pixel", 0.992, True))
    return Arm64Report("toy", tuple(choose(["a76", "pixel"])), 19.0, {}, costs, (), parity, ())


def test_only_the_target_s_latency_decides(report):
    verdicts = {(v.name, v.profile): v for v in report.verdicts}
    slow = verdicts["latency of encode", "pixel"]
    assert slow.value == pytest.approx(88 / 2.45, abs=0.01) and not slow.passed and not slow.gated
    assert report.simulated_ms == pytest.approx(32.5 / 2.13, abs=0.01)
    assert report.passed


def test_the_target_s_latency_fails_at_the_limit(report):
    late = dataclasses.replace(report, latency_limit_ms=report.simulated_ms)
    assert not late.passed


@pytest.mark.parametrize("phone", ["a76", "pixel"])
def test_every_phone_s_parity_decides(report, phone):
    parity = tuple(row(name, 0.98 if name == phone else 0.995, name != phone) for name in ("a76", "pixel"))
    failed = dataclasses.replace(report, parity=parity)
    assert not failed.passed
    [budget, _] = arm64_parity_budgets(failed.to_dict())
    assert (budget.value, budget.passed) == (0.98, False) and phone in budget.how


def test_a_model_that_did_not_run_fails_the_report(report):
    failure = Failure("vision.onnx", "pixel", "killed by SIGSEGV", ("last line",))
    assert not dataclasses.replace(report, failures=(failure,)).passed


def test_without_a_count_there_is_no_latency_and_no_pass(report):
    partial = dataclasses.replace(report, costs=report.costs[:2])
    assert partial.simulated_ms is None and not partial.passed
    assert partial.m_instructions("keystroke", "a76") is None


def test_a_keystroke_is_text_and_fuse(report):
    assert report.m_instructions("keystroke", "a76") == pytest.approx(2.5)


def test_counts_are_rounded_so_that_reports_repeat():
    assert significant(29_718_123.4 / 1e6) == 29.72
    assert significant(0.31249) == 0.3125
    assert significant(0.0) == 0.0


def test_operators_add_up_by_kind_and_by_who_ran_them():
    events = [("GEMM", "xnnpack", 6_000_000), ("ADD", "litert", 1_000_000), ("GEMM", "xnnpack", 3_000_000)]
    gemm, add = sum_operators("vision", events)
    assert (gemm.operator, gemm.times, gemm.m_instructions, gemm.share) == ("GEMM", 2, 9.0, 0.9)
    assert (add.runner, add.share) == ("litert", 0.1)
