"""INT8 .tflite: carries out a recipe with ai-edge-quantizer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from export.convert.tflite import quiet
from export.quantize.byte_input import bypass_float
from export.quantize.layers import activation_matmuls, of_shared_weights, read_model, walk
from export.quantize.packed_embeddings import PACKED, pack_lookups
from export.quantize.ranges import LEFT_OUT, Ranges, Samples, tail_ranges, tflite_activations
from export.quantize.recipe import RecipeError, Rule, TfliteRecipe

REDUCED_PRECISION = "reduced_precision_support"
"""Metadata entry by which XNNPACK may compute a file's float operators in fp16, where the CPU has it."""


def quantize_tflite(
    source: Path, recipe: TfliteRecipe, samples: Samples, path: Path, *, ranges: Ranges | None = None
) -> None:
    """Writes the quantized file.

    Args:
        source: the float32 file.
        recipe: precisions by layer.
        samples: to calibrate with.
        path: the file to write.
        ranges: of all activations, from the same file; None takes them here, as the recipe says.

    Raises:
        RecipeError: a rule matches no operator of the file.
    """
    check_rules(recipe, operators(source), recipe_name=path.name)
    path.write_bytes(_finished(_quantized(source, recipe, samples, ranges), recipe))


def calibrate(source: Path, recipe: TfliteRecipe, samples: Samples) -> Ranges:
    """Returns the ranges of all activations, taken as a recipe says."""
    with quiet():
        return tail_ranges(tflite_activations(source, samples), LEFT_OUT[recipe.calibration])


def _quantized(source: Path, recipe: TfliteRecipe, samples: Samples, ranges: Ranges | None) -> bytes:
    engine = _engine(source, recipe)
    if not engine.get_quantization_recipe():  # all in float; the quantizer refuses to do nothing
        return source.read_bytes()
    found = None
    if engine.need_calibration:
        found = _shaped(source, calibrate(source, recipe, samples) if ranges is None else ranges)
    with quiet():
        return bytes(engine.quantize(found).quantized_model)


def _shaped(source: Path, ranges: Ranges) -> dict[str, dict[str, np.ndarray]]:
    """Ranges as the quantizer takes them: arrays of one value, with as many axes as the tensor has."""
    axes = {
        tensor.name.decode(): len(tensor.shape)
        for graph in read_model(source).subgraphs
        for tensor in graph.tensors
    }
    found = {
        name: {
            end: np.full((1,) * axes[name], value, np.float32)
            for end, value in zip(("min", "max"), bounds, strict=True)
        }
        for name, bounds in ranges.items()
    }
    for layers in of_shared_weights(source):
        # With one scale for all, an engine packs their weights once.
        for tensors in zip(*layers, strict=True):
            _join(found, tensors)
    return found


def _engine(source: Path, recipe: TfliteRecipe):
    from ai_edge_quantizer import quantizer

    engine = quantizer.Quantizer(str(source))
    for rule in recipe.rules:
        for operator in rule.operators if rule.precision not in PACKED else ():
            _add_rule(engine, rule, operator)
    # LiteRT's kernels for ARM without the dot product add pairs in 16 bits, which -128 * -128 twice exceeds:
    # weights keep clear of -128, activations do not.
    for name in activation_matmuls(source) if engine.get_quantization_recipe() else ():
        _add_rule(engine, Rule(re.escape(name), ("FULLY_CONNECTED",), "float"), "FULLY_CONNECTED")
    return engine


def operators(path: Path) -> list[tuple[str, str, str]]:
    """Lists a file's operators as (signature, operator name, layer name), in order.

    The layer name is the operator's outputs', joined as ai-edge-quantizer does: the expressions see the
    same.
    """
    return [(part, kind, name) for part, kind, name, _, _ in walk(path)]


def without_unmatched_rules(recipe: TfliteRecipe, found: list[tuple[str, str, str]]) -> TfliteRecipe:
    """Returns a recipe with those of its rules alone that find an operator."""
    return replace(recipe, rules=tuple(rule for rule in recipe.rules if not _is_unmatched(rule, found)))


def _is_unmatched(rule: Rule, found: list[tuple[str, str, str]]) -> bool:
    return not any(kind in rule.operators and re.search(rule.layers, name) for _, kind, name in found)


def check_rules(recipe: TfliteRecipe, found: list[tuple[str, str, str]], *, recipe_name: str) -> None:
    """Checks that each rule of a recipe finds an operator.

    Raises:
        RecipeError: lists the rules that find none.
    """
    unmatched = [
        f"{rule.layers!r} {'/'.join(rule.operators)}" for rule in recipe.rules if _is_unmatched(rule, found)
    ]
    if unmatched:
        raise RecipeError(f"recipe for {recipe_name}: no operator matches the rule {'; '.join(unmatched)}")


def _add_rule(engine, rule: Rule, operator: str) -> None:
    from ai_edge_quantizer import algorithm_manager

    if rule.precision == "static_int8":
        engine.add_static_config(rule.layers, operator, activation_num_bits=8, weight_num_bits=8)
    elif rule.precision == "dynamic_int8":
        engine.add_dynamic_config(rule.layers, operator, num_bits=8)
    elif rule.precision == "float":
        engine.update_quantization_recipe(
            rule.layers, operator, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE
        )
    else:
        bits = int(rule.precision.removeprefix("weight_int"))
        # A look-up has no arithmetic: its table is stored in few bits and expanded a row at a time.
        add = engine.add_dynamic_config if operator == "EMBEDDING_LOOKUP" else engine.add_weight_only_config
        add(rule.layers, operator, num_bits=bits)


def _join(ranges: dict, tensors: Iterable[str]) -> None:
    """Gives tensors one range that holds the range of each."""
    found = [ranges[name] for name in tensors if "min" in ranges.get(name, ())]
    if found:
        least = np.minimum.reduce([entry["min"] for entry in found])
        most = np.maximum.reduce([entry["max"] for entry in found])
        for entry in found:
            entry["min"], entry["max"] = least.copy(), most.copy()


def _finished(model_bytes: bytes, recipe: TfliteRecipe) -> bytes:
    """Does what the quantizer does not: byte input, packed tables, the metadata for reduced precision."""
    from ai_edge_litert.tools import flatbuffer_utils

    schema = flatbuffer_utils.schema_fb
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(model_bytes))
    for buffer in model.buffers:
        if buffer.data is not None:  # arrays are written whole, all else byte by byte
            buffer.data = np.frombuffer(buffer.data, np.uint8)
    bypass_float(model, schema)
    for rule in reversed(recipe.rules):  # the last one counts: what is packed is no float table any more
        if rule.precision in PACKED:
            pack_lookups(model, schema, rule.layers, PACKED[rule.precision])
    if recipe.arithmetic == "fp16":
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(b"fp16accfp16", dtype=np.uint8)
        entry.name, entry.buffer = REDUCED_PRECISION, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
