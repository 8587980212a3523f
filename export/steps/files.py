"""The files that steps leave for one another, and for the bundle."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.quantize.recipe import Recipe, load_recipe
from runtime.bundle import PARTS, SIGNATURES, TensorSpec, tensor_specs

if TYPE_CHECKING:
    from export.request import Request


LAYERS = "layers.json"
"""Of the step `tflite_int8`: the precision of every layer."""
UNKNOWN = "unknown.json"
"""Of the step `inputs`: the share of unknown pieces by language."""
RECIPE, GIVEN_BACK = "recipe.json", "given_back.json"
"""Of the steps `tflite_recipe` and `onnx_recipe`."""


def _model(step: str, engine: str, precision: str, *signatures: str) -> dict[str, Any]:
    return {"step": step, "engine": engine, "precision": precision, "signatures": list(signatures)}


MODEL_FILES: dict[str, dict[str, Any]] = {
    "encoder.tflite": _model("tflite_int8", "tflite", "int8", *PARTS),
    "encoder_fp32.tflite": _model("tflite", "tflite", "fp32", *PARTS),
    **{f"{part}.onnx": _model("onnx_int8", "onnx", "int8", part) for part in PARTS},
    "encoder.onnx": _model("onnx_int8", "onnx", "int8", "encode"),
    **{f"{part}_fp32.onnx": _model("onnx", "onnx", "fp32", part) for part in PARTS},
    "encoder_fp32.onnx": _model("onnx", "onnx", "fp32", "encode"),
}
"""What each model file is, and the step that makes it."""


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of an .npz."""
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def tensors_of(request: Request, folder: Path) -> dict[str, TensorSpec]:
    """Returns the public tensors of an export, by name, given the folder of its step `encoder`."""
    facts = json.loads((folder / "encoder.json").read_text())
    return tensor_specs(request.config.to_dict(), facts["mask_size"])


def calibration_samples(folder: Path, signature: str) -> Iterator[dict[str, np.ndarray]]:
    """Yields the inputs of a signature, one sample at a time, given the folder of the step `golden`."""
    arrays = read_arrays(folder / "calibration.npz")
    for row in range(len(arrays["image"])):
        yield {name: arrays[name][row : row + 1] for name in SIGNATURES[signature].inputs}


def link(source: Path, target: Path) -> None:
    """Makes `target` the same file as `source` without copying, where the file system can."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@contextlib.contextmanager
def side_by_side(folders: Mapping[str, Path], out: Path, steps: Mapping[str, str]) -> Iterator[None]:
    """Links files, name -> the step that wrote it, into one folder, and takes them away again."""
    for name, step in steps.items():
        link(folders[step] / name, out / name)
    yield
    for name in steps:
        (out / name).unlink()


def stored_recipe(folder: Path) -> Recipe:
    """Returns the recipe that a step left in its folder."""
    return load_recipe("", folder / RECIPE)


def given_back(folder: Path) -> dict[str, Any] | None:
    """Returns what a step says of what was given back; None where the recipe was given."""
    return json.loads((folder / GIVEN_BACK).read_text())
