"""The four questions: by flags, on a terminal, and what the answers change."""

import json
import os
import pty
import subprocess
import sys

import pytest

from benchmarks.ablation.results import load
from benchmarks.advice.rules import Answers, advise
from encoder.config import PRESETS
from runtime.errors import InputError
from tests.benchmarks.ablation_rows import result
from tests.conftest import ROOT

FLAGS = ["--no-data", "--no-device", "--weeks", "1", "--prefer", "speed"]
NAMES = ["small", "medium", "large", "untrained", "unknown"]
ROWS = [
    result("small", m_instructions=12, mb=4, r1=0.7),
    result("medium", m_instructions=36, mb=4.5, r1=0.8),  # 18 ms; 19.8 at the slowest rate
    result("large", m_instructions=300, mb=30, r1=0.9, parameters=40_000_000),
    result("untrained", m_instructions=10, mb=3, r1=None, trained=False),
]


def advised(data=True, device=True, weeks=52, prefer="speed", rows=ROWS):
    return advise(Answers(data, device, weeks, prefer), NAMES, rows)


def candidate(advice, name):
    return next(candidate for candidate in advice.candidates if candidate.name == name)


@pytest.mark.parametrize(
    ("prefer", "preset"), [("speed", "untrained"), ("size", "untrained"), ("quality", "large")]
)
def test_with_everything_at_hand_the_preference_decides(prefer, preset):
    advice = advised(prefer=prefer)
    assert advice.fits and advice.preset == preset


@pytest.mark.parametrize(("prefer", "preset"), [("speed", "small"), ("size", "small"), ("quality", "medium")])
def test_in_one_week_only_what_is_ready_fits(prefer, preset):
    advice = advised(weeks=1, prefer=prefer)
    assert advice.fits and advice.preset == preset
    assert "parameters 40,000,000, limit < 13,800,000" in candidate(advice, "large").obstacles[0]
    assert "train it" in candidate(advice, "untrained").obstacles[0]


def test_without_data_random_weights_are_of_no_use():
    advice = advised(data=False)
    assert advice.preset == "small"
    assert candidate(advice, "untrained").obstacles == (
        "its weights are random, and there is no data to train it on",
    )


def test_without_a_device_the_slowest_published_rate_has_to_do():
    assert advised(weeks=1, prefer="quality").preset == "medium"
    advice = advised(weeks=1, prefer="quality", device=False)
    assert advice.preset == "small"
    assert "latency of encode 19.8 ms, limit < 19.0 ms" in candidate(advice, "medium").obstacles[0]


def test_where_nothing_fits_the_nearest_is_named_with_what_it_lacks():
    advice = advised(weeks=1, rows=ROWS[2:])
    assert not advice.fits and advice.preset == "untrained"
    assert advice.reason.startswith("no preset fits as asked; it is the nearest, but: it takes about 3 weeks")


def test_a_preset_that_was_not_measured_says_so_and_is_not_advised():
    advice = advised()
    assert candidate(advice, "unknown").obstacles == ("was not measured: make ablation ARGS=--write-docs",)
    with pytest.raises(InputError, match="no preset has been measured"):
        advised(rows=[])


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks", "advise", *arguments]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def test_flags_alone_are_enough():
    told = run(*FLAGS, "--json")
    assert told.returncode == 0, told.stderr
    answer = json.loads(told.stdout)
    assert [candidate["name"] for candidate in answer["candidates"]] == list(PRESETS)
    fitting = {c["name"]: c["figures"]["phones"] for c in answer["candidates"] if not c["obstacles"]}
    assert answer["fits"] is bool(fitting)
    if fitting:
        assert answer["preset"] == min(
            fitting, key=lambda name: fitting[name]["a76"]["encode"]["m_instructions"]
        )
    shown = run(*FLAGS).stdout
    assert shown.startswith(f"{answer['preset']}\n") and f"make export PRESET={answer['preset']}" in shown


def test_numbers_are_the_committed_ones():
    answer = json.loads(run(*FLAGS, "--json").stdout)
    committed = {row.name: row.figures for row in load() if row.kind == "preset"}
    measured = [found for found in answer["candidates"] if found["figures"] is not None]
    assert measured
    for found in measured:
        assert found["figures"] == committed[found["name"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (FLAGS[:2], "no terminal to ask on; add --weeks N, --prefer speed|quality|size"),
        ([*FLAGS, "--data"], "argument --data: not allowed with argument --no-data"),
        ([*FLAGS[:2], "--weeks", "0"], "0 is not a number of weeks: at least 1"),
        ([*FLAGS[:2], "--weeks", "soon"], "invalid number of weeks value: 'soon'"),
        (["--prefer", "beauty"], "invalid choice: 'beauty'"),
        (["--fast"], "unknown argument --fast; the options are"),
    ],
)
def test_bad_use_is_one_line_and_exit_2(arguments, message):
    told = run(*arguments)
    assert told.returncode == 2 and not told.stdout
    assert message in told.stderr and told.stderr.count("\n") == 1


def test_questions_on_a_terminal():
    keyboard, terminal = pty.openpty()
    os.write(keyboard, b"perhaps\nn\nno\n1\nspeed\n")  # the first answer is none, and asked again
    command = [sys.executable, "-m", "benchmarks", "advise", "--json"]
    asked = subprocess.run(command, cwd=ROOT, stdin=terminal, capture_output=True, text=True)
    os.close(terminal)
    os.close(keyboard)
    assert asked.returncode == 0, asked.stderr
    assert asked.stderr.count("Are screens and texts to train on ready? [y/n]") == 2
    assert asked.stderr.count("?") == 5
    answer = json.loads(asked.stdout)
    assert answer["answers"] == {"data": False, "device": False, "weeks": 1, "prefer": "speed"}
    assert answer == json.loads(run(*FLAGS, "--json").stdout)
