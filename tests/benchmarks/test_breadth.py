"""Three kinds of timm backbone really exported, and bad names refused; the table says what was given back."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from benchmarks.__main__ import main
from benchmarks.breadth import BACKBONES, breadth_table, passed
from encoder.options import TIMM
from evaluation.budgets import PARITY_COSINE
from tests.benchmarks.ablation_rows import variant
from tests.conftest import ROOT

KINDS = ("repvit_m0_9", "efficientvit_b0", "edgenext_xx_small")
"""Branches that are merged, attention that is rewritten, and convolutions beside attention."""


@pytest.mark.exhaustive
def test_three_kinds_are_exported_and_stay_near_float_on_every_engine():
    command = [sys.executable, "-m", "benchmarks", "breadth", *KINDS, "--json"]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    rows = json.loads(ended.stdout)["rows"]
    assert [row["name"].removeprefix(TIMM) for row in rows] == list(KINDS)
    for row in rows:
        figures = row["figures"]
        assert all(value >= PARITY_COSINE for value in figures["fidelity"].values()), row["name"]
        for found in figures["given_back"].values():
            assert found["after"]["cosine_min"] >= found["least"] or not found["units"]


def test_they_are_of_as_many_kinds():
    assert len(set(BACKBONES)) == len(BACKBONES) >= 22


def test_an_unknown_backbone_is_refused_before_any_work(capsys):
    assert main(["breadth", "mobilenet_v99"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "mobilenet_v99" in error


def test_the_table_says_what_passes_and_what_was_given_back():
    unit = {"name": "stages_2.0", "layers": 3}
    more = {
        "fidelity": {"tflite": 0.98, "phone": 0.94, "onnx": 0.97},
        "given_back": {"tflite": {"units": [unit], "layers": 90}, "onnx": {"units": [], "layers": 80}},
    }
    one = variant("timm/some_net")
    found = replace(one, figures=one.figures | more)
    assert not passed(found)  # the phone is below the limit
    assert passed(replace(found, figures=found.figures | {"fidelity": more["fidelity"] | {"phone": 0.96}}))
    (line,) = breadth_table([found, replace(one, figures=None)]).rows
    assert line[0] == "some_net" and line[-3:] == ("no", "3 of 90: stages_2.0", "nothing")
