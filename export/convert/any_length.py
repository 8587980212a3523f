"""Opens the length of texts in a .tflite: an engine that resizes the inputs computes no padding.

A converter writes shapes as constants. Where `text`, converted for another length, differs in nothing but the
targets of reshapes, in one number each, that number is the length: it becomes -1, which engines infer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

TEXT = "text"


def open_length(path: Path, another: Path) -> None:
    """Lets the inputs of `text` have any length.

    Args:
        path: the .tflite, changed in place.
        another: of the same module for texts of another length; its signature `text` alone is read.

    Raises:
        ValueError: the files differ in more than reshapes.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    model, other = (flatbuffer_utils.read_model(str(file)) for file in (path, another))
    graph = _graph(model)
    shapes = _shapes(model, graph, other, _graph(other))
    schema = flatbuffer_utils.schema_fb
    for operator, shape in shapes:
        buffer, tensor = schema.BufferT(), schema.TensorT()
        buffer.data = np.frombuffer(shape.tobytes(), np.uint8)
        tensor.name = f"open_length{len(graph.tensors)}".encode()
        tensor.shape, tensor.type = np.array(shape.shape, np.int32), schema.TensorType.INT32
        tensor.buffer = len(model.buffers)
        model.buffers.append(buffer)
        graph.tensors.append(tensor)
        operator.inputs = np.array([operator.inputs[0], len(graph.tensors) - 1], np.int32)
        operator.builtinOptions, operator.builtinOptionsType = None, schema.BuiltinOptions.NONE
    for index in graph.inputs:
        graph.tensors[index].shapeSignature = np.array([1, -1], np.int32)
    for buffer in model.buffers:
        if buffer.data is not None:  # arrays are written whole, all else byte by byte
            buffer.data = np.frombuffer(bytes(buffer.data), np.uint8)
    path.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))


def _graph(model: Any) -> Any:
    return next(
        model.subgraphs[entry.subgraphIndex]
        for entry in model.signatureDefs
        if entry.signatureKey.decode() == TEXT
    )


def _shapes(model: Any, graph: Any, other: Any, same: Any) -> list[tuple[Any, np.ndarray]]:
    """The reshapes of `graph` whose target holds the length, and what it becomes."""
    found = []
    for ours, theirs in zip(graph.operators, same.operators, strict=True):
        for place, (index, twin) in enumerate(zip(ours.inputs, theirs.inputs, strict=True)):
            data, others = _constant(model, graph, index), _constant(other, same, twin)
            if data != others:
                if place != 1 or _kind(model, ours) != "RESHAPE" or data is None or others is None:
                    raise ValueError(f"{_kind(model, ours)}: more than a shape depends on the text's length")
                found.append((ours, _open(np.frombuffer(data, np.int32), np.frombuffer(others, np.int32))))
    return found


def _open(shape: np.ndarray, another: np.ndarray) -> np.ndarray:
    """A reshape's target with -1 where it differs from another's; engines infer one number alone."""
    if len(shape) != len(another) or np.count_nonzero(shape != another) != 1:
        raise ValueError(
            f"a reshape to {shape.tolist()} depends on the text's length in more than one number"
        )
    return np.where(shape == another, shape, -1).astype(np.int32)


def _kind(model: Any, operator: Any) -> str:
    from ai_edge_litert.tools import flatbuffer_utils

    code = model.operatorCodes[operator.opcodeIndex].builtinCode
    return next(name for name, value in vars(flatbuffer_utils.BuiltinOperator).items() if value == code)


def _constant(model: Any, graph: Any, index: int) -> bytes | None:
    """A constant input's bytes; None for one that is computed."""
    data = model.buffers[graph.tensors[index].buffer].data if index >= 0 else None
    return None if data is None else bytes(data)
