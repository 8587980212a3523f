"""The command as a user meets it: bad use and bad input are one line and exit status 2."""

from __future__ import annotations

import json

import pytest

from benchmarks import compare_command as command
from benchmarks.__main__ import main
from benchmarks.compare import Comparison
from benchmarks.rows import OURS, Row
from runtime.provenance import Weights
from tests.conftest import ROOT
from tests.made_weights import weights_entry

TINY = ROOT / "tests" / "data" / "tiny_bundle"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "compare"),
        (["contrast"], "compare"),
        (["compare", "--only", "ncnn"], "litert-torch-fp32"),
        (["compare", "--fast"], "unknown argument --fast"),
        (["compare", "no/such/folder"], "no such bundle folder"),
        (["compare", str(ROOT / "docs")], "not a bundle"),
    ],
)
def test_bad_use_is_one_line_and_exit_2(arguments, said, capsys, tmp_path):
    try:
        code = main([*arguments, *(["--out", str(tmp_path)] if arguments else [])])
    except SystemExit as stop:  # argparse's way out
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and error.startswith("error: ") and error.count("\n") == 1 and said in error


@pytest.fixture
def measured(monkeypatch):
    """Stands in for the measurement, which has its own tests."""
    rows = (
        Row(OURS, "pocket-encoder", file_bytes=5_000_000, m_instructions=40.0),
        Row("aeq-dynamic-int8", "ai-edge-quantizer", file_bytes=7_000_000, m_instructions=100.0),
    )
    monkeypatch.setattr(command, "prepare", lambda *arguments: None)
    found = Comparison("tiny", Weights.from_dict(weights_entry("random")), 4, "a76", rows)
    monkeypatch.setattr(command, "compare", lambda *arguments, **options: found)


def test_prints_table_and_verdict_and_keeps_the_results(measured, capsys, tmp_path):
    assert main(["compare", str(TINY), "--out", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert "aeq-dynamic-int8" in output and "2.50 x ours" in " ".join(output.split())
    kept = json.loads((tmp_path / "compare.json").read_text())
    assert kept["verdict"]["times"] == 2.5
    assert (tmp_path / "compare.md").read_text().startswith("tiny (weights: random), 4 parity screens")
    assert (tmp_path / "compare.png").stat().st_size > 1000


def test_json_is_all_that_it_prints(measured, capsys, tmp_path):
    assert main(["compare", str(TINY), "--out", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["name"] == OURS
