"""The precision that each layer of a .tflite really has, read from the file itself."""

from __future__ import annotations

import functools
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from export.quantize.packed_embeddings import FINE, UNPACKED, UNPACKED_6

MOVES = ("RESHAPE", "TRANSPOSE", "SLICE", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE", "DEQUANTIZE", "CAST")
"""Operators that compute nothing of the model's own."""


def read_model(path: Path) -> Any:
    """Returns a file's `ModelT`, not to be changed: reading takes seconds, so the latest two are kept."""
    return _read_model(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _read_model(path: Path, _changed: int) -> Any:
    from ai_edge_litert.tools import flatbuffer_utils

    return flatbuffer_utils.read_model(str(path))


def walk(path: Path) -> Iterator[tuple]:
    """Yields (signature, operator name, layer name, operator, subgraph) of each operator of a file."""
    yield from _walk(read_model(path))


def _walk(model) -> Iterator[tuple]:
    from ai_edge_litert.tools import flatbuffer_utils

    kinds = {code: name for name, code in vars(flatbuffer_utils.BuiltinOperator).items() if name.isupper()}
    parts = {entry.subgraphIndex: entry.signatureKey.decode() for entry in model.signatureDefs}
    for index, graph in enumerate(model.subgraphs):
        for operator in graph.operators:
            kind = kinds[model.operatorCodes[operator.opcodeIndex].builtinCode]
            name = "".join(graph.tensors[output].name.decode() + ";" for output in operator.outputs)
            yield parts.get(index, str(index)), kind, name, operator, graph


def multiply_adds(path: Path) -> dict[tuple[str, str], int]:
    """Counts the multiply-adds of convolutions and linear layers, by signature and layer name; others: 0."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for part, kind, name, operator, graph in walk(path):
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            weight = graph.tensors[operator.inputs[1]].shape
            # Of each output: a filter's numbers; of a depthwise filter, [1, h, w, C], those of a channel.
            each = math.prod(weight[1:3] if kind == "DEPTHWISE_CONV_2D" else weight[1:])
            counts[part, name] += int(each) * math.prod(graph.tensors[operator.outputs[0]].shape)
    return counts


def activation_matmuls(path: Path) -> list[str]:
    """Lists the linear layers, by name, whose weights are computed: products of two activations."""
    layers = list(walk(path))
    computed = {graph.tensors[output].name for *_, operator, graph in layers for output in operator.outputs}
    return [
        name
        for _, kind, name, operator, graph in layers
        if kind == "FULLY_CONNECTED" and graph.tensors[operator.inputs[1]].name in computed
    ]


def of_shared_weights(path: Path) -> Iterator[list[tuple[str, str]]]:
    """Yields the linear layers that share their weights, as names of input and output, of a signature's each.

    Such are the steps of an unrolled recurrent layer.
    """
    model = read_model(path)
    sharing = defaultdict(list)
    for part, kind, _, operator, graph in _walk(model):
        if kind == "FULLY_CONNECTED":
            read, weight, written = (graph.tensors[i] for i in (*operator.inputs[:2], operator.outputs[0]))
            data = model.buffers[weight.buffer].data
            if data is not None:
                # Small tensors are written once for each of their uses.
                sharing[part, tuple(weight.shape), bytes(data)].append(
                    (read.name.decode(), written.name.decode())
                )
    yield from (layers for layers in sharing.values() if len(layers) > 1)


def layer_precisions(path: Path) -> list[dict[str, str]]:
    """Lists `signature`, `layer`, `operator` and `precision` of every operator that computes, in order.

    Precision is `static_int8` (INT8 in and out), `dynamic_int8` (INT8 weights, float in and out),
    `weight_int4` (4-bit weights, float out), `packed_int4` and `packed_int6` (a packed table, float out) or
    `float`.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    types = flatbuffer_utils.TensorType
    rows = []
    for part, kind, name, operator, graph in walk(path):
        if kind in MOVES:
            continue
        inputs = [graph.tensors[index] for index in operator.inputs if index >= 0]
        integer = any(tensor.type == types.INT8 for tensor in inputs)
        if UNPACKED in name:
            if kind != "GATHER" or not integer or FINE in name:
                continue  # what unpacks is no layer of the model
            precision = "packed_int6" if UNPACKED_6 in name else "packed_int4"
            kind, name = "EMBEDDING_LOOKUP", name.split(UNPACKED)[0]
        elif any(tensor.type == types.INT4 for tensor in inputs):
            precision = "weight_int4"
        elif graph.tensors[operator.outputs[0]].type == types.INT8:
            precision = "static_int8"
        else:
            precision = "dynamic_int8" if integer else "float"
        rows.append({"signature": part, "layer": short_name(name), "operator": kind, "precision": precision})
    return rows


def short_name(name: str) -> str:
    """Shortens a tensor's name, a path of `package.Class_attribute`, to the attributes' path.

    `pkg.A_backbone/torch.nn.modules.conv.Conv2d_conv;1` becomes `backbone.conv`.
    """
    first = name.split(";")[0]
    attributes = [re.sub(r"^(?:\w+\.)*[A-Z]\w*?_", "", part) for part in first.split("/")]
    return ".".join(part for part in attributes if part and not re.fullmatch(r"(?:\w+\.)*[A-Z]\w*", part))
