"""Trials of ONNX recipes on this host: what to give back, and how near the files are to the float ones."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from export.quantize.onnx import OnnxQuantizer, quantized_nodes
from export.quantize.recipe import OnnxRecipe
from export.quantize.search.give_back import Candidate, Measured, split
from export.quantize.search.groups import unit_of
from export.quantize.search.host_tflite import measured
from runtime.bundle import PARTS
from runtime.engines import open_model


def onnx_candidates(folder: Path, recipe: OnnxRecipe) -> list[Candidate]:
    """Lists the units of layers with weights that a recipe quantizes: they could be float.

    Args:
        folder: holds the float files, `vision_fp32.onnx` and so on.
        recipe: the quantization recipe.
    """
    found = []
    for part in PARTS:
        units: dict[str, dict[str, int]] = {}
        for layer, node, weight, shapes in quantized_nodes(folder / f"{part}_fp32.onnx", part, recipe):
            work = _multiply_adds(node.op_type, shapes[weight], shapes.get(node.output[0]))
            units.setdefault(unit_of(layer), {})[weight] = work
        found += [
            Candidate(
                part, name, "float", len(works), sum(works.values()),
                tuple(f"^{re.escape(weight)}$" for weight in works),
            )
            for name, works in units.items()
        ]  # fmt: skip
    return found


def _multiply_adds(operator: str, weight: tuple[int, ...], output: tuple[int, ...] | None) -> int:
    if output is None or operator == "Gather":
        return 0
    each = math.prod(weight[1:]) if operator == "Conv" else weight[0]
    return math.prod(output) * each


class HostOnnx:
    """Makes and runs ONNX files; the ranges are taken once, on samples that do not judge.

    Args:
        folder: holds the float files.
        recipe: to start from.
        arrays: inputs and PyTorch's embeddings of the calibration samples, by tensor name, [N, ...].
    """

    def __init__(self, folder: Path, recipe: OnnxRecipe, arrays: Mapping[str, np.ndarray]):
        self.recipe = recipe
        samples, self.judged = split(arrays)
        self._quantizers = {
            part: OnnxQuantizer(folder / f"{part}_fp32.onnx", part, recipe, samples[part]) for part in PARTS
        }
        self._scratch = tempfile.TemporaryDirectory(prefix="pocket-recipe-")
        self._made: dict[str, tuple[tuple[str, ...], int]] = {}

    def __enter__(self) -> HostOnnx:
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.cleanup()

    def with_units(self, units: tuple[Candidate, ...]) -> OnnxRecipe:
        """Returns the recipe with some units in float."""
        more = tuple(expression for unit in units for expression in unit.change)
        return replace(self.recipe, exclude=(*self.recipe.exclude, *more))

    def measure(self, units: tuple[Candidate, ...]) -> Measured:
        """Makes the files with some units in float, and runs them on the judged samples."""
        models, total = {}, 0
        for part in PARTS:
            path = Path(self._scratch.name) / f"{part}.onnx"
            changed = tuple(unit for unit in units if unit.signature == part)
            if self._made.get(part) != changed:
                self._quantizers[part].write(self.with_units(changed), path)
                self._made[part] = changed
            models[part], total = open_model(path), total + path.stat().st_size
        return measured(lambda part, inputs: models[part].run(part, inputs), self.judged, total)
