"""The recipes: as they are given, or found for an encoder that has none.

First the better way to take ranges is chosen, then precision is given back: on screens that set no range.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from export.quantize.ranges import LEFT_OUT
from export.quantize.recipe import Recipe
from export.quantize.search.give_back import GivenBack, give_back
from export.quantize.search.host_onnx import HostOnnx, onnx_candidates
from export.quantize.search.host_tflite import HostTflite, tflite_candidates
from export.quantize.tflite import operators, without_unmatched_rules
from export.steps.files import GIVEN_BACK, RECIPE, read_arrays

if TYPE_CHECKING:
    from export.request import Request


def find_tflite(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Leaves the recipe of the .tflite."""
    recipe, found = request.recipe, None
    if recipe.general:
        source = folders["tflite"] / "encoder_fp32.tflite"
        start = without_unmatched_rules(recipe.tflite, operators(source))
        arrays = read_arrays(folders["golden"] / "calibration.npz")
        ways = [HostTflite(source, replace(start, calibration=way), arrays) for way in LEFT_OUT]
        trials = max(ways, key=lambda way: way.measure(()).cosine_mean)
        found = give_back(tflite_candidates(source, start), trials.measure)
        recipe = replace(recipe, tflite=trials.with_units(found.chosen))
    _write(out, recipe, found)


def find_onnx(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Leaves the recipe of the ONNX files."""
    recipe, found = request.recipe, None
    if recipe.general:
        arrays = read_arrays(folders["golden"] / "calibration.npz")
        with ExitStack() as stack:
            ways = [
                stack.enter_context(HostOnnx(folders["onnx"], replace(recipe.onnx, calibration=way), arrays))
                for way in LEFT_OUT
            ]
            trials = max(ways, key=lambda way: way.measure(()).cosine_mean)
            found = give_back(onnx_candidates(folders["onnx"], recipe.onnx), trials.measure)
        recipe = replace(recipe, onnx=trials.with_units(found.chosen))
    _write(out, recipe, found)


def _write(out: Path, recipe: Recipe, found: GivenBack | None) -> None:
    (out / RECIPE).write_text(json.dumps(recipe.to_dict(), indent=1) + "\n")
    (out / GIVEN_BACK).write_text(json.dumps(found and found.to_dict()))
