"""Stores a table of word vectors in 4 bits by means that every engine has: two numbers in a byte.

The look-up of a 4-bit tensor is an operator that TensorFlow Lite 2.16 does not have. Here a byte holds
16 * high + low, both from -7 to 7, and each row has a scale; after the look-up `high` is the floor of
(byte + 8) / 16 and `low` the rest, exact in fp16 too. A row's first half is `high`, its second half `low`.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

LEVELS = 7
"""Largest magnitude of a number."""
PACKED = "packed_int4"
UNPACKED = "unpacked;"
"""In the names of the tensors that unpacking brings."""


def pack(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Packs a table.

    Args:
        table: float32 [V, D], D even.

    Returns:
        Bytes, int8 [V, D / 2], and the scale of each row, float32 [V, 1].

    Raises:
        ValueError: D is odd.
    """
    if table.shape[1] % 2:
        raise ValueError(
            f"a table of {table.shape[1]} columns cannot be packed in pairs: the number must be even"
        )
    scale = np.abs(table).max(axis=1, keepdims=True) / LEVELS
    levels = np.rint(table / np.where(scale > 0, scale, 1.0))
    high, low = np.split(levels, 2, axis=1)
    return (16 * high + low).astype(np.int8), scale.astype(np.float32)


def unpack(packed: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Returns the table that the packed one stands for, float32 [V, D]."""
    values = packed.astype(np.float32)
    high = np.floor((values + 8) / 16)
    return np.concatenate([high, values - 16 * high], axis=1) * scale


def pack_lookups(model: Any, schema: Any, layers: str) -> int:
    """Replaces, in place, look-ups in float tables by look-ups in packed ones.

    Args:
        model: a `ModelT` of LiteRT's flatbuffer tools.
        schema: the module of its classes.
        layers: which look-ups: an expression that their output's name contains.

    Returns:
        How many were replaced.
    """
    lookup, done = schema.BuiltinOperator.EMBEDDING_LOOKUP, 0
    for graph in model.subgraphs:
        operators = []
        for operator in graph.operators:
            output = graph.tensors[operator.outputs[0]]
            chosen = model.operatorCodes[operator.opcodeIndex].builtinCode == lookup
            table = graph.tensors[operator.inputs[1]] if chosen else None
            if chosen and table.type == schema.TensorType.FLOAT32 and re.search(layers, _text(output.name)):
                operators += _Unpacking(model, schema, graph, _text(output.name)).replace(operator)
                done += 1
            else:
                operators.append(operator)
        graph.operators = operators
    return done


class _Unpacking:
    """Builds the operators that look rows up and unpack them."""

    def __init__(self, model: Any, schema: Any, graph: Any, name: str):
        self.model, self.schema, self.graph, self.name = model, schema, graph, name
        self.operators: list[Any] = []

    def replace(self, lookup: Any) -> list[Any]:
        """Returns what takes a look-up's place; its table is forgotten."""
        ids, table = lookup.inputs
        buffer = self.model.buffers[self.graph.tensors[table].buffer]
        rows, width = self.graph.tensors[table].shape
        bytes_, scales = pack(np.frombuffer(bytes(buffer.data), np.float32).reshape(rows, width))
        buffer.data = np.frombuffer(bytes_.tobytes(), np.uint8)
        self.graph.tensors[table].type = self.schema.TensorType.INT8
        self.graph.tensors[table].shape = np.array(bytes_.shape, np.int32)
        self.graph.tensors[table].name = f"{self.name}{UNPACKED}table".encode()
        count, half = int(self.graph.tensors[ids].shape[0]), width // 2
        packed = self._gather(table, ids, [count, half], self.schema.TensorType.INT8)
        values = self._add("CAST", [packed], [count, half])
        shifted = self._add("ADD", [values, self._constant(8.0)], [count, half], "AddOptions")
        ratio = self._add("MUL", [shifted, self._constant(1 / 16)], [count, half], "MulOptions")
        high = self._add("FLOOR", [ratio], [count, half])
        whole = self._add("MUL", [high, self._constant(16.0)], [count, half], "MulOptions")
        low = self._add("SUB", [values, whole], [count, half], "SubOptions")
        both = self._add("CONCATENATION", [high, low], [count, width], "ConcatenationOptions", axis=1)
        scale = self._gather(self._constant(scales), ids, [count, 1], self.schema.TensorType.FLOAT32)
        self._add("MUL", [both, scale], None, "MulOptions", output=int(lookup.outputs[0]))
        return self.operators

    def _gather(self, table: int, ids: int, shape: list[int], kind: int) -> int:
        return self._add("GATHER", [table, ids], shape, "GatherOptions", kind=kind, axis=0)

    def _add(
        self,
        operator: str,
        inputs: list[int],
        shape: list[int] | None,
        options: str = "",
        *,
        kind: int | None = None,
        output: int | None = None,
        **values: int,
    ) -> int:
        """Appends an operator; returns its output tensor."""
        if output is None:
            output = self._tensor(shape, self.schema.TensorType.FLOAT32 if kind is None else kind, 0)
        made = self.schema.OperatorT()
        made.opcodeIndex = self._code(getattr(self.schema.BuiltinOperator, operator))
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        if options:
            made.builtinOptionsType = getattr(self.schema.BuiltinOptions, options)
            made.builtinOptions = getattr(self.schema, f"{options}T")()
            for key, value in values.items():
                setattr(made.builtinOptions, key, value)
        self.operators.append(made)
        return output

    def _constant(self, value: float | np.ndarray) -> int:
        array = np.asarray(value, np.float32)
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        return self._tensor(list(array.shape), self.schema.TensorType.FLOAT32, len(self.model.buffers) - 1)

    def _tensor(self, shape: list[int], kind: int, buffer: int) -> int:
        tensor = self.schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = np.array(shape, np.int32), kind, buffer
        tensor.name = f"{self.name}{UNPACKED}{len(self.graph.tensors)}".encode()
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def _code(self, builtin: int) -> int:
        for index, code in enumerate(self.model.operatorCodes):
            if code.builtinCode == builtin:
                code.version = max(code.version, self._version(builtin))
                return index
        code = self.schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode = builtin, min(builtin, 127)
        code.version = self._version(builtin)
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def _version(self, builtin: int) -> int:
        """The version that brought INT8 to an operator; 1 for those on floats."""
        return 2 if builtin == self.schema.BuiltinOperator.GATHER else 1


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
