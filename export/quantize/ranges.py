"""Ranges of activations: what a calibration's samples reach, but for the few values furthest out.

The widest range of all samples is set by a handful of values, for which all others pay with coarser steps;
and the more samples there are, the wider it gets. So one in 100,000 values is left out at either end
(percentiles, as in Wu et al., "Integer Quantization for Deep Learning Inference", 2020). docs/results.md
compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from export.quantize.layers import read_model, walk

LEFT_OUT = {"min_max": 0.0, "percentile": 1e-5}
"""Share of a tensor's values outside its range at either end, by a recipe's `calibration`."""

Samples = Mapping[str, Sequence[dict[str, np.ndarray]]]
"""Calibration inputs by signature, each a dict by input name with arrays of batch 1."""
Ranges = dict[str, tuple[float, float]]
"""Least and largest value by tensor name."""


class Activation(NamedTuple):
    """What a sample brought to a tensor.

    Attributes:
        name: of the tensor.
        values: of this sample.
        samples: how many bring values to it.
        given: whether it is an input.
    """

    name: str
    values: np.ndarray
    samples: int
    given: bool


def tail_ranges(activations: Iterable[Activation], left_out: float) -> Ranges:
    """Takes the range of every tensor, by the values furthest out; an input's is the widest.

    Args:
        activations: all samples of a tensor have the same shape.
        left_out: share of a tensor's values to leave out at either end.
    """
    ends: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, values, samples, given in activations:
        flat = values.ravel()
        count = 1 if given else int(left_out * flat.size * samples) + 1
        low, high = ends.get(name, (flat[:0], flat[:0]))
        ends[name] = _largest(low, -flat, count), _largest(high, flat, count)
    return {name: (-float(low.min()), float(high.min())) for name, (low, high) in ends.items()}


def _largest(known: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """The `count` largest of what is known and of new values, in any order."""
    if len(known) == count:
        values = values[values > known.min()]
    both = np.concatenate([known, values])
    return both if len(both) <= count else np.partition(both, len(both) - count)[-count:]


def tflite_activations(path: Path, samples: Samples) -> Iterator[Activation]:
    """Runs a .tflite, float or quantized, on samples; yields inputs and what every operator computes.

    Weights, and integers that are no quantized numbers, are left out.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1, experimental_preserve_all_tensors=True)
    model = read_model(path)
    graphs = {entry.signatureKey.decode(): entry.subgraphIndex for entry in model.signatureDefs}
    computed: dict[str, set[int]] = {}
    for part, _, _, operator, _ in walk(path):
        computed.setdefault(part, set()).update(operator.outputs)
    for part, rows in samples.items():
        graph, run = graphs[part], interpreter.get_signature_runner(part)
        kinds = (np.float32, np.int8)
        details = {d["index"]: d for d in interpreter.get_tensor_details(graph) if d["dtype"] in kinds}
        inputs = set(model.subgraphs[graph].inputs)
        for row in rows:
            run(**row)
            for index in details.keys() & (computed[part] | inputs):
                values = interpreter.get_tensor(index, graph)
                yield Activation(details[index]["name"], values, len(rows), index in inputs)


def onnx_activations(
    path: Path, operators: Sequence[str], samples: Sequence[Mapping[str, np.ndarray]]
) -> Iterator[Activation]:
    """Runs a float ONNX file on samples; yields the floats that operators read and write.

    Args:
        path: the file.
        operators: types; what weights hold is left out.
        samples: inputs by name.
    """
    import onnx
    from onnxruntime import InferenceSession

    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    floats = {
        value.name
        for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    ends = {
        name for node in model.graph.node if node.op_type in operators for name in (*node.input, *node.output)
    }
    names = sorted((ends & floats) - {tensor.name for tensor in model.graph.initializer})
    given = {value.name for value in model.graph.input}
    asked = [name for name in names if name not in given]
    written = {value.name for value in model.graph.output}
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in asked
        if name not in written
    )
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for sample in samples:
        values = dict(zip(asked, session.run(asked, dict(sample)), strict=True)) | dict(sample)
        for name in names:
            yield Activation(name, values[name], len(samples), name in given)
