"""The INT8 .tflite, which ships."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from export.quantize.layers import layer_precisions
from export.quantize.tensor_names import strip_tensor_names
from export.quantize.tflite import quantize_tflite
from export.steps.files import LAYERS, calibration_samples, stored_recipe
from runtime.bundle import PARTS

if TYPE_CHECKING:
    from export.request import Request


def make_tflite_int8(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Calibrates and quantizes the .tflite, and lists the precision that every layer got."""
    samples = {part: list(calibration_samples(folders["golden"], part)) for part in PARTS}
    source, target = folders["tflite"] / "encoder_fp32.tflite", out / "encoder.tflite"
    quantize_tflite(source, stored_recipe(folders["tflite_recipe"]).tflite, samples, target)
    layers = layer_precisions(target)  # by the names that the finished file no longer has
    strip_tensor_names(target, source, keep=request.keep_names)
    (out / LAYERS).write_text(json.dumps(layers))
