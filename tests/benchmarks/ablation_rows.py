"""Results of made-up encoders, to judge tables and advice by, and a sweep of the smallest real ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from benchmarks.ablation.results import Result
from encoder.config import PRESETS
from tests.made_weights import weights_entry

TINY = {
    "backbone": "timm/test_resnet",
    "backbone_pretrained": False,
    "global_projection": "avg_pool_mlp",
    "text_model": "custom_lstm",
    "fusion": "cross_attention_only",
    "image_size": [64, 64],
    "text_max_length": 4,
}
"""Config keys of an encoder that is quick to export: timm has it for tests, and an LSTM is a layer a token."""


def write_sweep(folder: Path, **rows: dict) -> Path:
    """Writes a sweep: each row is TINY with some keys changed."""
    path = folder / "sweep.json"
    path.write_text(json.dumps({name: TINY | changes for name, changes in rows.items()}))
    return path


def result(
    name: str, *, m_instructions: float = 30.0, mb: float = 5.0, r1: float | None = 0.8, parameters: int = 6_000_000,
    ms: float | None = None, trained: bool = True,
) -> Result:  # fmt: skip
    """A preset's row; a phone takes half a millisecond for a million instructions, 10 % more at the slowest."""
    ms = m_instructions / 2 if ms is None else ms
    path = {"m_instructions": m_instructions, "ms": ms, "ms_range": [0.9 * ms, 1.1 * ms]}
    quality = {
        "R@1 test": r1,
        "class test": r1,
        "class unseen_kit": r1,
        "Spearman": r1,
        "mean_pairwise_cosine": 0.1,
    }
    figures = {
        "weights": weights_entry("checkpoint" if trained else "random"),
        "parameters": {"total": parameters, "vision": 1_000_000, "text": 4_000_000, "fuse": 1_000_000},
        "file_bytes": round(mb * 1e6),
        "private_bytes": 7_000_000,
        "phones": {"pixel2": {"encode": path, "keystroke": path}, "a76": {"encode": path, "keystroke": path}},
        "target": "a76",
        "not_counted": "",
        "quality": None if r1 is None else quality,
        "retention": None if r1 is None else 0.99,
        "not_rated": "RANDOM WEIGHTS in all parts" if r1 is None else "",
        "parity": {"mean_centred_cosine_min": 0.96, "mean_centred_cosine_mean": 0.98, "passed": True},
        "missed": [],
        "export_s": 100.0,
    }
    config = PRESETS["balanced"].to_dict()
    return Result(name=name, kind="preset", also=(), config=config, digest="d", figures=figures)


def variant(name: str, **figures) -> Result:
    """A variant: a row as a preset's, of random weights."""
    return replace(result(name, r1=None, trained=False, **figures), kind="variant")
