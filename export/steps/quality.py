"""Quality of the exported files on the test split."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from encoder.tokenizers import tokenizer_of
from evaluation.quality.outputs import Models
from evaluation.quality.step import run_engine, write_quality
from export.calibration import max_user_norm
from export.steps.encoder import stored_encoder
from export.steps.files import MODEL_FILES, read_arrays, side_by_side, tensors_of
from runtime.provenance import Weights

if TYPE_CHECKING:
    from export.request import Request


def run_float(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Runs the float .tflite on the test split, for `make_quality` to find; writes nothing here."""
    _run_ahead(request, folders, out, "tflite")


def run_int8(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Runs the shipped file on the test split, for `make_quality` to find; writes nothing here."""
    _run_ahead(request, folders, out, "tflite_int8")


def run_onnx_int8(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Runs ONNX's INT8 files on the test split, for `make_quality` to find; writes nothing here."""
    _run_ahead(request, folders, out, "onnx_int8")


def make_quality(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Evaluates the files on the test split, where weights are trained."""
    with _models(request, folders, out, "tflite", "tflite_int8", "onnx_int8") as models:
        write_quality(out, models, _weights(folders))


def _run_ahead(request: Request, folders: Mapping[str, Path], out: Path, step: str) -> None:
    with _models(request, folders, out, step) as models:
        entry = next(iter(models.files.values()))  # all are of one engine and precision
        run_engine(models, _weights(folders), (entry["engine"], entry["precision"]))


def _weights(folders: Mapping[str, Path]) -> Weights:
    return Weights.from_dict(json.loads((folders["encoder"] / "encoder.json").read_text())["weights"])


@contextlib.contextmanager
def _models(request: Request, folders: Mapping[str, Path], out: Path, *steps: str) -> Iterator[Models]:
    """Lays the model files of some steps side by side in `out`, with what measuring their quality needs."""

    def text_tokens(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Maps ids and mask, int32 [B, L], to tokens by PyTorch, float32 [B, 1, D]."""
        encoder = stored_encoder(request, folders["encoder"])
        with torch.inference_mode():
            return encoder.encode_text(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()

    files = {name: entry for name, entry in MODEL_FILES.items() if entry["step"] in steps}
    golden = read_arrays(folders["golden"] / "golden.npz")
    tensors = tensors_of(request, folders["encoder"])
    with side_by_side(folders, out, {name: entry["step"] for name, entry in files.items()}):
        norm = max_user_norm(request.samples)
        yield Models(out, files, tensors, tokenizer_of(request.config), golden, norm, text_tokens)
