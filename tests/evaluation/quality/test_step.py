"""Quality in the export: figures and pictures for manifest and report, or the reason why there are none."""

import json
import shutil
from html import escape

import numpy as np
import pytest

from evaluation.budgets import QUALITY, quality_budgets
from evaluation.quality import step
from evaluation.quality.outputs import Models
from evaluation.quality.split import read_split
from export.report.html import render_report
from runtime.bundle import Bundle
from runtime.parity import load_golden
from runtime.provenance import Weights
from tests.made_weights import weights_entry
from tests.runtime.conftest import TINY

TRAINED = Weights.from_dict(weights_entry())


@pytest.fixture
def measured(tmp_path, monkeypatch, cache, split_folder):
    """Runs the step on the tiny bundle's files; returns its folder."""
    monkeypatch.setattr("evaluation.quality.outputs.CACHE", cache)
    monkeypatch.setattr(read_split, "__defaults__", (split_folder,))
    monkeypatch.setattr(step.available, "__defaults__", (split_folder,))

    def run(weights: dict):
        bundle = Bundle.load(TINY)
        folder = shutil.copytree(TINY, tmp_path / "step")
        golden = load_golden(TINY / "golden.npz", bundle.tensors)
        models = Models(
            folder, bundle.files, bundle.tensors, bundle.open_tokenizer(), golden, bundle.max_user_norm
        )
        for engine in step.ENGINES:
            step.run_engine(models, weights, engine)
        step.write_quality(folder, models, weights)
        return folder

    return run


def manifest(quality: dict) -> dict:
    return json.loads((TINY / "manifest.json").read_text()) | {
        "preset": "tiny", "weights": TRAINED.to_dict(), "tools": {}, "parity": [], "parameters": {"total": 1},
        "quality": quality["report"],
        "budgets": [each.to_dict() for each in quality_budgets(quality["report"], quality["skipped"])],
    }  # fmt: skip


def test_the_report_shows_figures_and_pictures(measured, report):
    folder = measured(TRAINED)
    quality = json.loads((folder / "quality.json").read_text())
    every = {(row["engine"], row["precision"]): row for row in json.loads(json.dumps(report["engines"]))}
    del every["onnx", "fp32"]  # `make quality` alone runs it
    assert quality["report"]["engines"] == list(every.values())
    (folder / "plan.json").write_text('{"layers": []}')
    page = render_report(manifest(quality), folder, folder)
    assert "<h2>Quality</h2>" in page and "210 contexts of test, 12 contexts of unseen_kit" in page
    spearman = report["engines"][1]["spearman"]
    assert f'<td class="number">{spearman:.3f}' in page
    for engine in ("tflite", "onnx"):
        for part, found in every[engine, "int8"]["fidelity"].items():
            assert f'<td class="number">{found["p1"]:.3f}' in page, (engine, part)
            assert f'<td class="number">{escape(found["worst_sample"])}' in page
    pictures = step.picture_files(folder)
    assert page.count("data:image/webp;base64,") == 1 + len(pictures) >= 3
    for path in pictures:
        assert f"<figcaption>{step.CAPTIONS[path.stem].split(':')[0].replace(chr(39), '&#39;')}" in page


@pytest.mark.parametrize(
    ("weights", "missing", "reason"),
    [
        (Weights.from_dict(weights_entry("random")), False, "RANDOM WEIGHTS in all parts"),
        (Weights.from_dict(weights_entry(user="random")), False, "RANDOM WEIGHTS in user"),
        (TRAINED, True, "no test split"),
    ],
)
def test_nothing_is_claimed_where_nothing_can_be_said(
    measured, monkeypatch, tmp_path, weights, missing, reason
):
    if missing:
        monkeypatch.setattr(step.available, "__defaults__", (tmp_path / "none",))
    folder = measured(weights)
    quality = json.loads((folder / "quality.json").read_text())
    assert quality["report"] is None and reason in quality["skipped"] and not step.picture_files(folder)
    verdicts = quality_budgets(None, quality["skipped"])
    assert len(verdicts) == len(QUALITY)
    assert all(verdict.passed is None and reason in verdict.how for verdict in verdicts)
    (folder / "plan.json").write_text('{"layers": []}')
    assert "<h2>Quality</h2>" not in render_report(manifest(quality), folder, folder)


def test_other_user_vectors_do_not_fit_the_split(tmp_path):
    tensors = {"user": np.zeros((1, 32))}
    step.write_quality(tmp_path, Models(tmp_path, {}, tensors, None, {}, 1.22), TRAINED)
    assert (
        "64 numbers, the encoder takes 32" in json.loads((tmp_path / "quality.json").read_text())["skipped"]
    )
