"""Ranges of activations: what a calibration's samples reach, but for the few values furthest out.

The widest range of all samples is set by a handful of values, for which all others pay with coarser steps;
and the more samples there are, the wider it gets. So one in 10,000 values is left out at either end
(percentiles, as in Wu et al., "Integer Quantization for Deep Learning Inference", 2020). docs/performance.md
compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from export.quantize.layers import read_model, walk

LEFT_OUT = {"min_max": 0.0, "percentile": 1e-4}
"""Share of a tensor's values outside its range at either end, by a recipe's `calibration`."""

Samples = Mapping[str, Sequence[dict[str, np.ndarray]]]
"""Calibration inputs by signature, each a dict by input name with arrays of batch 1."""
Ranges = dict[str, tuple[float, float]]
"""Least and largest value by tensor name."""


class Tails:
    """The values furthest out of tensors that come sample by sample.

    Args:
        left_out: share of a tensor's values to leave out at either end.
        samples: how many will come.
    """

    def __init__(self, left_out: float, samples: int):
        self.left_out, self.samples = left_out, samples
        self._ends: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def add(self, name: str, values: np.ndarray) -> None:
        """Takes in a sample's values of a tensor; all samples of one have the same shape."""
        flat = values.ravel()
        count = int(self.left_out * flat.size * self.samples) + 1
        low, high = self._ends.get(name, (flat[:0], flat[:0]))
        self._ends[name] = _largest(low, -flat, count), _largest(high, flat, count)

    def ranges(self) -> Ranges:
        """Returns the range of every tensor that came."""
        return {name: (-float(low.min()), float(high.min())) for name, (low, high) in self._ends.items()}


def _largest(known: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """The `count` largest of what is known and of new values, in any order."""
    if len(known) == count:
        values = values[values > known.min()]
    both = np.concatenate([known, values])
    return both if len(both) <= count else np.partition(both, len(both) - count)[-count:]


def tflite_ranges(source: Path, samples: Samples, left_out: float) -> Ranges:
    """Takes the ranges of all activations of a float .tflite; those of inputs are the widest.

    Args:
        source: the file.
        samples: to run it on.
        left_out: share of a tensor's values to leave out at either end.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(source), num_threads=1, experimental_preserve_all_tensors=True)
    model = read_model(source)
    graphs = {entry.signatureKey.decode(): entry.subgraphIndex for entry in model.signatureDefs}
    computed: dict[str, set[int]] = {}
    for part, _, _, operator, _ in walk(source):
        computed.setdefault(part, set()).update(operator.outputs)
    found: Ranges = {}
    for part, rows in samples.items():
        graph = graphs[part]
        details = {d["index"]: d for d in interpreter.get_tensor_details(graph) if d["dtype"] is np.float32}
        inputs, run = set(model.subgraphs[graph].inputs), interpreter.get_signature_runner(part)
        exact, tails = Tails(0.0, len(rows)), Tails(left_out, len(rows))
        for row in rows:
            run(**row)
            for index in details.keys() & (computed[part] | inputs):
                into = exact if index in inputs else tails
                into.add(details[index]["name"], interpreter.get_tensor(index, graph))
        found |= tails.ranges() | exact.ranges()
    return found


def onnx_ranges(
    source: Path, operators: Sequence[str], samples: Sequence[Mapping[str, np.ndarray]], left_out: float
) -> Ranges:
    """Takes the ranges of what operators of a float ONNX file read and write; those of inputs are the widest.

    Args:
        source: the file.
        operators: types.
        samples: to run it on.
        left_out: share of a tensor's values to leave out at either end.
    """
    import onnx
    from onnxruntime import InferenceSession

    model = onnx.shape_inference.infer_shapes(onnx.load(source))
    floats = {
        value.name
        for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    ends = {
        name for node in model.graph.node if node.op_type in operators for name in (*node.input, *node.output)
    }
    given, written = {value.name for value in model.graph.input}, {value.name for value in model.graph.output}
    names = sorted((ends & floats) - {tensor.name for tensor in model.graph.initializer})
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in names
        if name not in written | given
    )
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    exact, tails = Tails(0.0, len(samples)), Tails(left_out, len(samples))
    for sample in samples:
        asked = [name for name in names if name not in given]
        values = dict(zip(asked, session.run(asked, dict(sample)), strict=True)) | dict(sample)
        for name in names:
            (exact if name in given else tails).add(name, values[name])
    return tails.ranges() | exact.ranges()
