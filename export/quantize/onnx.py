"""INT8 ONNX: static quantization per channel with Optimum's ORTQuantizer."""

from __future__ import annotations

import logging
import re
import tempfile
from pathlib import Path

import numpy as np

from export.convert.tflite import quiet
from export.quantize.recipe import OnnxRecipe

AVERAGING_CONSTANT = 0.05
"""How far one sample moves a range under `moving_average`; ai-edge-quantizer's own is the same."""


def quantize_onnx(
    source: Path, signature: str, recipe: OnnxRecipe, samples: list[dict[str, np.ndarray]], path: Path
) -> None:
    """Writes the quantized file: signed INT8 weights, per channel, and signed INT8 activations.

    Args:
        source: the float32 file.
        signature: that it serves.
        recipe: operator types to quantize, and layers to leave out.
        samples: calibration inputs, each a dict by input name with arrays of batch 1.
        path: the file to write.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from optimum.onnxruntime import AutoQuantizationConfig, ORTQuantizer
    from optimum.onnxruntime.configuration import CalibrationConfig

    logging.getLogger("optimum").setLevel(logging.ERROR)
    config = AutoQuantizationConfig.arm64(
        is_static=True,
        per_channel=True,
        operators_to_quantize=list(recipe.operators),
        nodes_to_exclude=_excluded(source, signature, recipe),
    )
    config.activations_dtype = QuantType.QInt8
    config.reduce_range = signature in recipe.reduce_range
    calibration = CalibrationConfig(
        dataset_name="samples",
        dataset_config_name="",
        dataset_split="calibration",
        dataset_num_samples=len(samples),
        method=CalibrationMethod.MinMax,
        moving_average=recipe.calibration == "moving_average",
        averaging_constant=AVERAGING_CONSTANT,
    )
    rows = [{name: array[0] for name, array in sample.items()} for sample in samples]
    with tempfile.TemporaryDirectory() as scratch, quiet():
        quantizer = ORTQuantizer.from_pretrained(source.parent, file_name=source.name)
        ranges = quantizer.fit(
            rows, calibration, Path(scratch) / "augmented.onnx", operators_to_quantize=list(recipe.operators)
        )
        quantizer.quantize(config, scratch, file_suffix="int8", calibration_tensors_range=ranges)
        path.write_bytes((Path(scratch) / f"{source.stem}_int8.onnx").read_bytes())


def _excluded(source: Path, signature: str, recipe: OnnxRecipe) -> list[str]:
    import onnx

    graph = onnx.load(source, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    excluded = []
    for node in graph.node:
        weights = constants & set(node.input)
        attention = node.op_type == "MatMul" and not weights and recipe.attention_products == "float"
        # A node is known by its signature and type, and by its weights' names, the PyTorch module's.
        names = (f"{signature}/{node.op_type}", *weights)
        named = any(re.search(pattern, name) for pattern in recipe.exclude for name in names)
        if attention or named:
            excluded.append(node.name)
    return excluded
