"""The INT8 ONNX files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from export.convert.onnx import compose
from export.quantize.onnx import OnnxQuantizer
from export.steps.files import calibration_samples, stored_recipe
from runtime.bundle import PARTS

if TYPE_CHECKING:
    from export.request import Request


def make_onnx_int8(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Calibrates and quantizes the ONNX files."""
    recipe = stored_recipe(folders["onnx_recipe"]).onnx
    for part in PARTS:
        samples = list(calibration_samples(folders["golden"], part))
        source = folders["onnx"] / f"{part}_fp32.onnx"
        OnnxQuantizer(source, part, recipe, samples).write(recipe, out / f"{part}.onnx")
    compose({part: out / f"{part}.onnx" for part in PARTS}, out / "encoder.onnx")
