"""Parity of all model files with PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.budgets import PARITY
from export.steps.files import MODEL_FILES, side_by_side, tensors_of
from runtime.parity import load_golden, measure_files

if TYPE_CHECKING:
    from export.request import Request


def make_parity(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Measures every engine, precision and signature against the golden vectors."""
    tensors = tensors_of(request, folders["encoder"])
    golden = load_golden(folders["golden"] / "golden.npz", tensors)
    with side_by_side(folders, out, {name: entry["step"] for name, entry in MODEL_FILES.items()}):
        rows = measure_files(out, MODEL_FILES, tensors, golden, PARITY, threads=1)
    (out / "parity.json").write_text(json.dumps([asdict(row) for row in rows]))
