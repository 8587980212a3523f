"""The last screen of an export, and tables: everything can be read at any width from 60 columns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from evaluation.budgets import (
    FIDELITY,
    Verdict,
    arm64_parity_budgets,
    latency_budget,
    memory_budget,
    parity_budgets,
    quality_budgets,
    size_budgets,
)
from evaluation.terminal.tables import print_table
from export.report.console import given_back_line, print_result

WIDTHS = (60, 80, 120, 200)
PARITY = {
    ("tflite", "fp32"): {"max_abs": 8.6e-06},
    ("tflite", "int8"): {"mean_centred_cosine_min": 0.9743, "self_retrieval": 1.0},
    ("onnx", "fp32"): {"max_abs": 7.6e-06},
    ("onnx", "int8"): {"mean_centred_cosine_min": 0.9512, "self_retrieval": 1.0},
}
NOWHERE = "the ARM64 emulator cannot be set up: apt-get, apt-cache, dpkg, dpkg-deb not found; it needs Debian"


def verdicts(
    parity: dict = PARITY, *, worse: float = 0.0, milliseconds: float | None = 13.75
) -> list[Verdict]:
    """The verdicts of a preset that finds the regions: as many as there can be."""
    rows = [
        {
            "engine": engine,
            "precision": precision,
            "checks": [{"metric": metric, "value": value} for metric, value in checks.items()],
        }
        for (engine, precision), checks in parity.items()
    ]
    share = [0.99 - worse]
    shipped = {
        "engine": "tflite", "precision": "int8",
        "retrieval": {"test": {"all": {"r1": share}}},
        "screen_class": {split: {"accuracy": {"all": share}} for split in ("test", "unseen_kit")},
        "spearman": share[0], "mean_pairwise_cosine": 0.02 + worse, "regions": {"test": {"mean": share[0]}},
        "retention": {"r1": share[0]}, "mean_centred_cosine": {"min": share[0]},
        "fidelity": {
            part: {"n": 600} | {figure: limit + 0.01 - worse for figure, limit in limits.items()}
            for part, limits in FIDELITY["tflite"].items()
        },
    }  # fmt: skip
    emulated = {
        "failures": ["vision"] * round(worse),
        "verdicts": [
            {"name": f"parity with {against}, tflite int8, {metric}", "profile": "a76", "limit": limit,
             "relation": ">=", "value": 1.0 - worse, "unit": "", "gated": True}
            for against in ("pytorch", "host")
            for metric, limit in (("mean_centred_cosine_min", 0.95), ("self_retrieval", 1.0))
        ],
    }  # fmt: skip
    size = int(4_684_072 * (1 + worse))
    return [
        *size_budgets(int(6_926_000 * (1 + worse)), size),
        memory_budget(5_414_912 + int(worse * 1e6), "median of 3 fresh processes on this host"),
        latency_budget(milliseconds, "a76", reason=NOWHERE),
        *parity_budgets(rows),
        *(arm64_parity_budgets(emulated) if milliseconds else ()),
        *quality_budgets({"engines": [shipped]}),
    ]


def screen(width: int, budgets: list[Verdict]) -> list[str]:
    """The lines of the last screen."""
    console = Console(file=io.StringIO(), width=width)
    files = {
        "encoder.tflite": {"bytes": 4_684_072, "engine": "tflite"},
        "vision.onnx": {"bytes": 1, "engine": "onnx"},
        "golden.npz": {"bytes": 1},
    }
    checkpoint = {"source": "checkpoint", "detail": "balanced_sam.safetensors", "sha256": ""}
    weights = {"sha256": "", "parts": {"backbone": checkpoint, "fusion": checkpoint}}
    manifest = {
        "weights": weights, "files": files, "budgets": [budget.to_dict() for budget in budgets],
        "tokenizer": {"type": "wordpiece", "unknown_shares": {}},
    }  # fmt: skip
    print_result(console, manifest, "dist/balanced_sam", "make check PRESET=balanced_sam")
    lines = console.file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines) and "…" not in "".join(lines)
    return lines


def verdict_lines(lines: list[str]) -> list[str]:
    first = lines.index("") + 1
    return lines[first : lines.index("", first)]


@pytest.mark.parametrize("width", WIDTHS)
def test_every_verdict_has_a_whole_line_and_there_are_at_most_14(width):
    lines = screen(width, verdicts())
    shown = verdict_lines(lines)
    assert len(shown) <= 14 and len(lines) <= 24
    assert all(line.split("pass")[0].count("  ") >= 2 for line in shown)
    assert any(line.startswith("private memory") and "5.40 MB" in line for line in shown)
    assert any(line.startswith("latency of encode") and "13.8 ms  < 19.0 ms" in line for line in shown)
    assert any(line.startswith("parity, INT8 (6 limits)") and "0.9512  " in line for line in shown)
    assert any(line.startswith("INT8 fidelity (9 limits)") for line in shown)
    assert not any("more in the report" in line for line in shown)
    said = " ".join(" ".join(lines).split())
    assert "2 model files, encoder.tflite 4.68 MB" in said and "dist/balanced_sam/report.html" in said
    assert "next: make check PRESET=balanced_sam" in said


@pytest.mark.parametrize("width", WIDTHS)
def test_what_fails_has_a_line_of_its_own_with_limit_and_value(width):
    worse = {**PARITY, ("onnx", "int8"): {"mean_centred_cosine_min": 0.9123, "self_retrieval": 0.9688}}
    shown = verdict_lines(screen(width, verdicts(worse)))
    failed = [line.split() for line in shown if "FAIL" in line]
    assert [line[: line.index("FAIL")] for line in failed] == [
        ["ONNX", "INT8", "mean-centred", "cosine", "0.9123", ">=", "0.95"],
        ["ONNX", "INT8", "self-retrieval", "0.9688", ">=", "1"],
    ]
    assert any(line.startswith("parity, INT8 (4 limits)") and "0.9743" in line for line in shown)
    assert len(shown) <= 14


def test_where_everything_fails_14_lines_say_how_much_is_not_shown():
    lost = {pair: {metric: 0.5 for metric in checks} for pair, checks in PARITY.items()}
    budgets = verdicts(lost, worse=1.0, milliseconds=99.0)
    assert all(budget.passed is False for budget in budgets)
    shown = verdict_lines(screen(60, budgets))
    assert len(shown) == 14 and all("FAIL" in line for line in shown)
    assert shown[-1].startswith(f"{len(budgets) - 13} more in the report")


@pytest.mark.parametrize("width", WIDTHS)
def test_what_was_not_measured_says_why(width):
    lines = screen(width, verdicts(milliseconds=None))
    (row,) = (line for line in lines if line.startswith("latency of encode "))
    assert row.split()[3:] == ["not", "measured", "<", "19.0", "ms", "-"] or "not measured:" in row
    assert f"latency of encode: not measured: {NOWHERE}" in " ".join(" ".join(lines).split())
    random = [*verdicts()[:3], *quality_budgets(None, "the weights are random")]
    said = " ".join(" ".join(screen(width, random)).split())
    assert said.count("not measured: the weights are random") == 1 or width == 200


@pytest.mark.parametrize("width", WIDTHS)
def test_no_name_in_a_table_is_cut(width):
    names = [
        "backbone.features.stages_2.1.transformer.0.attn.query_key_value.with_a_name_of_110_letters"
        + "x" * 20
    ]
    names.append("text.output.dense")
    table = Table(title="noise")
    for header in ("layer", "signature", "noise, %"):
        table.add_column(header)
    for name in names:
        table.add_row(name, "vision", "12.34")
    console = Console(file=io.StringIO(), width=width)
    print_table(console, table)
    lines = console.file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines) and "…" not in "".join(lines)
    assert all(name in "".join(line.strip() for line in lines) for name in names)
    assert sum("vision" in line and "12.34" in line for line in lines) == 2


def test_what_a_found_recipe_gives_up_is_one_sentence():
    unit = {
        "signature": "vision",
        "name": "stem",
        "precision": "float",
        "layers": 2,
        "multiply_adds": 400_000,
    }
    before = {"cosine_min": 0.93, "cosine_mean": 0.96, "file_bytes": 5_000_000}
    found = {"units": [unit], "layers": 97, "trials": 30, "least": 0.96, "before": before,
             "after": before | {"cosine_min": 0.971, "file_bytes": 5_020_000}}  # fmt: skip
    assert given_back_line("tflite", found) == (
        "TFLite recipe: 2 of 97 layers get more precision (stem in float): 0.4 M multiply-adds, +0.02 MB; "
        "worst judged screen 0.971, 0.930 without"
    )
    counted = given_back_line("tflite", found | {"m_instructions": 0.62})
    assert "(stem in float): +0.6 M instructions, +0.02 MB;" in counted
    nothing = found | {"units": [], "after": before}
    assert given_back_line("onnx", nothing) == (
        "ONNX recipe: the default one, nothing given back (worst judged screen 0.930)"
    )
