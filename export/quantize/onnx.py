"""INT8 ONNX: static quantization per channel with Optimum's ORTQuantizer."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from export.convert.tflite import quiet
from export.quantize.ranges import LEFT_OUT, onnx_activations, tail_ranges
from export.quantize.recipe import OnnxRecipe


class OnnxQuantizer:
    """Quantizes one float file by recipes with the same operators: it is calibrated once.

    Args:
        source: the float32 file.
        signature: that it serves.
        recipe: operator types to quantize, and how their ranges are taken.
        samples: calibration inputs, each a dict by input name with arrays of batch 1.
    """

    def __init__(
        self, source: Path, signature: str, recipe: OnnxRecipe, samples: Sequence[Mapping[str, np.ndarray]]
    ):
        from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
        from optimum.onnxruntime import ORTQuantizer

        logging.getLogger("optimum").setLevel(logging.ERROR)
        self.source, self.signature = source, signature
        seen = onnx_activations(source, recipe.operators, samples)
        ranges = tail_ranges(seen, LEFT_OUT[recipe.calibration])
        arrays = {name: tuple(map(np.float32, bounds)) for name, bounds in ranges.items()}
        self._ranges = TensorsData(CalibrationMethod.MinMax, arrays)
        with quiet():
            self._quantizer = ORTQuantizer.from_pretrained(source.parent, file_name=source.name)

    def write(self, recipe: OnnxRecipe, path: Path) -> None:
        """Writes the quantized file: signed INT8 weights, per channel, and signed INT8 activations.

        Args:
            recipe: with the operators and the calibration of the one above; layers to leave out.
            path: the file to write.
        """
        from onnxruntime.quantization import QuantType
        from optimum.onnxruntime import AutoQuantizationConfig

        config = AutoQuantizationConfig.arm64(
            is_static=True,
            per_channel=True,
            operators_to_quantize=list(recipe.operators),
            nodes_to_exclude=_excluded(self.source, self.signature, recipe),
        )
        config.activations_dtype = QuantType.QInt8
        config.reduce_range = self.signature in recipe.reduce_range
        with tempfile.TemporaryDirectory() as scratch, quiet():
            self._quantizer.quantize(
                config, scratch, file_suffix="int8", calibration_tensors_range=self._ranges
            )
            path.write_bytes((Path(scratch) / f"{self.source.stem}_int8.onnx").read_bytes())


def quantized_nodes(source: Path, signature: str, recipe: OnnxRecipe) -> Iterator[tuple]:
    """Yields (layer, node, name of its weight, shapes by tensor) of each node with weights that is quantized.

    The layer is the path of the PyTorch module: the weight has its name, or where that was folded anew the
    bias that is added next.
    """
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load(source)).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    constants = set(shapes)
    shapes |= {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.output)
    }
    added = {
        name: constant
        for node in graph.node
        if node.op_type == "Add"
        for name in node.input
        for constant in constants.intersection(node.input)
    }
    excluded = _excluded(source, signature, recipe)
    for node in graph.node:
        weights = [name for name in node.input if name in constants]
        if weights and node.op_type in recipe.operators and node.name not in excluded:
            named = next((name for name in weights if "." in name), added.get(node.output[0], weights[0]))
            layer = re.sub(r"^encoder\.|\.(weight|bias|weight_bias)$", "", named)
            yield layer, node, weights[0], shapes


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
