"""What the rows say together, in words and in tables."""

from __future__ import annotations

import pytest

from benchmarks.compare import Comparison
from benchmarks.rows import OURS, Row, judge
from benchmarks.tables import MARKS, cells, header, markdown, notes, rich_table, verdict_line, write_docs
from runtime.errors import InputError
from runtime.provenance import Weights
from tests.made_weights import weights_entry

OWN = Row(
    OURS, "pocket-encoder", file_bytes=5_000_000, m_instructions=40.0, ratio=1.0, mean_centred_cosine_min=0.96
)
FLOAT = Row("float", "tool", "1.0", "tool(x | y)", file_bytes=25_000_000, m_instructions=120.0, ratio=2.5)
SMALL = Row("small", "tool", "1.0", file_bytes=4_000_000, m_instructions=200.0, mean_centred_cosine_min=0.5)
BROKEN = Row("broken", "tool", error="RuntimeError: no kernel for <Frobnicate>")
UNCOUNTED = Row("program", "tool", file_bytes=26_000_000, not_counted="the emulated engines do not run .pte")


def comparison(*rows: Row) -> Comparison:
    return Comparison("balanced", Weights.from_dict(weights_entry()), 32, "a76", rows)


def test_the_best_baseline_has_the_fewest_instructions():
    verdict = judge([OWN, FLOAT, SMALL, BROKEN, UNCOUNTED])
    assert verdict.best_baseline is FLOAT and verdict.times == 3.0
    assert not verdict.smallest and verdict.smallest_baseline is SMALL


def test_a_row_that_does_not_run_is_no_choice():
    stopped = SMALL.having(m_instructions=10.0, error="does not run here: ended by SIGABRT")
    verdict = judge([OWN, FLOAT, stopped])
    assert verdict.best_baseline is FLOAT and verdict.smallest


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([OWN, FLOAT], "float, 120.0 M: 3.00 x ours (40.0 M); ours is the smallest, 5.00 MB (next: float, 25.00 MB)"),
        ([OWN, SMALL], "small, 200.0 M, mean-centred cosine 0.5000: 5.00 x ours (40.0 M); ours is not the smallest: 5.00 MB, small 4.00 MB"),
        ([OWN, UNCOUNTED], "no baseline's instructions were counted; ours is the smallest"),
        ([OWN.having(m_instructions=None), FLOAT], "best baseline: float, 120.0 M instructions; ours were not counted"),
        ([OWN, BROKEN], "no baseline's instructions were counted; no baseline has files to compare sizes with"),
        ([OWN], "no baseline has files"),
    ],
)  # fmt: skip
def test_verdict_line(rows, said):
    assert said in verdict_line(rows)


def test_what_was_not_measured_is_a_dash():
    assert cells(BROKEN) == ("broken", *["-"] * (len(header("a76")) - 1))
    assert cells(OWN)[2:5] == ("5.00", "40.0", "1.00")


def test_notes_name_every_failure_once():
    assert notes([OWN, BROKEN, UNCOUNTED]) == [
        "broken: RuntimeError: no kernel for <Frobnicate>",
        "program: not counted: the emulated engines do not run .pte",
    ]


def test_markdown_is_one_table_whose_rows_have_all_columns():
    text = markdown(comparison(OWN, FLOAT, BROKEN))
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 3 and len({line.count("|") for line in table}) == 1
    assert "| **ours** |" in text and "**5.00**" in text and "**-**" not in text
    assert "tool(x \\| y)" in text and "&lt;Frobnicate>" in text


def test_terminal_table_has_a_row_for_each():
    assert rich_table(comparison(OWN, FLOAT, BROKEN)).row_count == 3


def test_json_carries_the_verdict():
    found = comparison(OWN, FLOAT).to_dict()
    assert found["verdict"] == {
        "best_baseline": "float",
        "times": 3.0,
        "smallest": True,
        "smallest_baseline": "float",
    }
    assert found["rows"][0]["m_instructions"] == 40.0


def test_docs_keep_what_stands_around_the_marks(tmp_path):
    path = tmp_path / "results.md"
    path.write_text(f"before\n{MARKS[0]}\nold\n{MARKS[1]}\nafter\n")
    write_docs("new\n", path)
    text = path.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "new" in text and "old" not in text


def test_docs_without_marks_are_refused(tmp_path):
    path = tmp_path / "results.md"
    path.write_text("nothing here\n")
    with pytest.raises(InputError, match="must stand there once"):
        write_docs("new", path)
    assert path.read_text() == "nothing here\n"
