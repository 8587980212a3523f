"""Trials of .tflite recipes on this host: what to give back, and how near the file is to the float one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from export.quantize.layers import multiply_adds
from export.quantize.packed_embeddings import PACKED
from export.quantize.recipe import Rule, TfliteRecipe
from export.quantize.search.give_back import Candidate, Measured, split
from export.quantize.search.groups import integer_groups
from export.quantize.tensor_names import strip_tensor_names
from export.quantize.tflite import calibrate, operators, quantize_tflite
from runtime.bundle import PARTS, SIGNATURES
from runtime.engines import open_model
from runtime.metrics import mean_centred_cosine


def tflite_candidates(source: Path, recipe: TfliteRecipe) -> list[Candidate]:
    """Lists a file's units that a recipe computes in integers or packs: they could be float, or wider."""
    found, work = operators(source), multiply_adds(source)
    units = [
        Candidate(
            group.signature, group.name, "float", len(group.layers),
            sum(work[group.signature, layer] for layer in group.layers), (group.rule("float"),),
        )
        for group in integer_groups(recipe, found)
    ]  # fmt: skip
    tables = [
        Candidate("text", "embedding table", "packed_int6", 1, 0, (replace(rule, precision="packed_int6"),))
        for rule in recipe.rules
        if rule.precision in PACKED and rule.precision != "packed_int6"
    ]
    return units + tables


class HostTflite:
    """Makes and runs .tflite files; the ranges are taken once, on samples that do not judge.

    Args:
        source: the float file.
        recipe: to start from; each of its rules finds an operator.
        arrays: inputs and PyTorch's embeddings of the calibration samples, by tensor name, [N, ...].
    """

    def __init__(self, source: Path, recipe: TfliteRecipe, arrays: Mapping[str, np.ndarray]):
        self.source, self.recipe = source, recipe
        self.samples, self.judged = split(arrays)
        self.ranges = calibrate(source, recipe, self.samples)

    def with_units(self, units: tuple[Candidate, ...]) -> TfliteRecipe:
        """Returns the recipe with more precision for some units."""
        rules: tuple[Rule, ...] = tuple(rule for unit in units for rule in unit.change)
        return replace(self.recipe, rules=(*self.recipe.rules, *rules))

    def measure(self, units: tuple[Candidate, ...]) -> Measured:
        """Makes the file with more precision for some units, and runs it on the judged samples."""
        with tempfile.TemporaryDirectory(prefix="pocket-recipe-") as folder:
            path = Path(folder) / "encoder.tflite"
            quantize_tflite(self.source, self.with_units(units), self.samples, path, ranges=self.ranges)
            strip_tensor_names(path, self.source)
            model = open_model(path)
            return measured(lambda part, inputs: model.run(part, inputs), self.judged, path.stat().st_size)


def measured(run, arrays: Mapping[str, np.ndarray], file_bytes: int) -> Measured:
    """Runs vision, text and fuse one after the other on samples, and compares the embeddings.

    Args:
        run: runs a signature on its inputs, each of batch 1, and returns its outputs.
        arrays: the samples' inputs and PyTorch's embeddings, by tensor name, [N, ...].
        file_bytes: of the files.
    """
    found = []
    for row in range(len(arrays["image"])):
        known = {name: arrays[name][row : row + 1] for name in arrays if name != "embedding"}
        for part in PARTS:
            known |= run(part, {name: known[name] for name in SIGNATURES[part].inputs})
        found.append(known["embedding"])
    cosines = mean_centred_cosine(np.concatenate(found), arrays["embedding"])
    return Measured(round(float(cosines.min()), 5), round(float(cosines.mean()), 5), file_bytes)
