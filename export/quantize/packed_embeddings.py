"""Stores a table of word vectors in 4 or 6 bits by means that every engine has.

The look-up of a 4-bit tensor is an operator that TensorFlow Lite 2.16 does not have. Here a byte holds
16 * high + low, both from -7 to 7, and each row has a scale; after the look-up `high` is the floor of
(byte + 8) / 16 and `low` the rest, exact in fp16 too. A row's first half is `high`, its second half `low`.

In 6 bits a number is 4 * coarse + fine: `coarse` is stored as above, and `fine`, from -2 to 1, in a second
table, four quarters of a row in a byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

LEVELS = {4: 7, 6: 29}
"""Largest magnitude of a number by bits; in 6 bits both parts stay within theirs."""
PACKED = {"packed_int4": 4, "packed_int6": 6}
"""Bits by a recipe's precision."""
UNPACKED, UNPACKED_6, FINE = "unpacked;", "unpacked;6;", "unpacked;fine;"
"""In the names of the tensors that unpacking brings; the latter two in 6 bits."""
_FINE_DIGITS = (64, 16, 4)


def pack(table: np.ndarray, bits: int = 4) -> tuple[list[np.ndarray], np.ndarray]:
    """Packs a table.

    Args:
        table: float32 [V, D], D even, in 6 bits a multiple of 4.
        bits: 4 or 6.

    Returns:
        Bytes, int8 [V, D / 2], and in 6 bits int8 [V, D / 4] too, and the scale of each row, float32 [V, 1].

    Raises:
        ValueError: D is not such a number.
    """
    parts = 2 if bits == 4 else 4  # that a row is cut into, for a byte to hold a number of each
    if table.shape[1] % parts:
        raise ValueError(
            f"a table of {table.shape[1]} columns cannot be packed in {bits} bits: the number must be a "
            f"multiple of {parts}"
        )
    scale = np.abs(table).max(axis=1, keepdims=True) / LEVELS[bits]
    levels = np.rint(table / np.where(scale > 0, scale, 1.0))
    if bits == 4:
        return [_pairs(levels)], scale.astype(np.float32)
    coarse = np.floor((levels + 2) / 4)
    first, second, third, last = np.split(levels - 4 * coarse + 2, 4, axis=1)
    fine = 64 * first + 16 * second + 4 * third + last - 128
    return [_pairs(coarse), fine.astype(np.int8)], scale.astype(np.float32)


def _pairs(levels: np.ndarray) -> np.ndarray:
    high, low = np.split(levels, 2, axis=1)
    return (16 * high + low).astype(np.int8)


def unpack(packed: Sequence[np.ndarray], scale: np.ndarray) -> np.ndarray:
    """Returns the table that the packed one stands for, float32 [V, D]."""
    values = packed[0].astype(np.float32)
    high = np.floor((values + 8) / 16)
    levels = np.concatenate([high, values - 16 * high], axis=1)
    if len(packed) > 1:
        rest, digits = packed[1].astype(np.float32) + 128, []
        for digit in _FINE_DIGITS:
            digits.append(np.floor(rest / digit))
            rest = rest - digit * digits[-1]
        levels = 4 * levels + np.concatenate([*digits, rest], axis=1) - 2
    return levels * scale


def pack_lookups(model: Any, schema: Any, layers: str, bits: int = 4) -> int:
    """Replaces, in place, look-ups in float tables by look-ups in packed ones.

    Args:
        model: a `ModelT` of LiteRT's flatbuffer tools.
        schema: the module of its classes.
        layers: which look-ups: an expression that their output's name contains.
        bits: of a number, 4 or 6.

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
                operators += _Unpacking(model, schema, graph, _text(output.name), bits).replace(operator)
                done += 1
            else:
                operators.append(operator)
        graph.operators = operators
    return done


class _Unpacking:
    """Builds the operators that look rows up and unpack them."""

    def __init__(self, model: Any, schema: Any, graph: Any, name: str, bits: int):
        self.model, self.schema, self.graph, self.bits = model, schema, graph, bits
        self.name, self.mark = name, UNPACKED if bits == 4 else UNPACKED_6
        self.operators: list[Any] = []

    def replace(self, lookup: Any) -> list[Any]:
        """Returns what takes a look-up's place; its table is forgotten."""
        ids, table = lookup.inputs
        buffer = self.model.buffers[self.graph.tensors[table].buffer]
        rows, width = self.graph.tensors[table].shape
        packed, scales = pack(np.frombuffer(bytes(buffer.data), np.float32).reshape(rows, width), self.bits)
        buffer.data = np.frombuffer(packed[0].tobytes(), np.uint8)
        self.graph.tensors[table].type = self.schema.TensorType.INT8
        self.graph.tensors[table].shape = np.array(packed[0].shape, np.int32)
        self.graph.tensors[table].name = f"{self.name}{self.mark}table".encode()
        count = int(self.graph.tensors[ids].shape[0])
        levels = self._pairs(table, ids, count, width)
        if self.bits == 6:
            self.mark = FINE
            coarse = self._binary("MUL", levels, 4.0)
            levels = self._binary("ADD", coarse, self._fine(packed[1], ids, count, width))
            levels = self._binary("SUB", levels, 2.0)
        scale = self._gather(self._constant(scales), ids, [count, 1], self.schema.TensorType.FLOAT32)
        self._add("MUL", [levels, scale], None, "MulOptions", output=int(lookup.outputs[0]))
        return self.operators

    def _pairs(self, table: int, ids: int, count: int, width: int) -> int:
        """Looks rows up of which a byte holds two numbers; returns them, [count, width]."""
        packed = self._gather(table, ids, [count, width // 2], self.schema.TensorType.INT8)
        values = self._add("CAST", [packed], [count, width // 2])
        high = self._floor(self._binary("ADD", values, 8.0), 16)
        low = self._binary("SUB", values, self._binary("MUL", high, 16.0))
        return self._concatenated([high, low], count, width)

    def _fine(self, packed: np.ndarray, ids: int, count: int, width: int) -> int:
        """Looks rows up of which a byte holds four numbers from 0 to 3; returns them, [count, width]."""
        table = self._constant(packed)
        found = self._gather(table, ids, [count, width // 4], self.schema.TensorType.INT8)
        rest, digits = self._binary("ADD", self._add("CAST", [found], [count, width // 4]), 128.0), []
        for digit in _FINE_DIGITS:
            digits.append(self._floor(rest, digit))
            rest = self._binary("SUB", rest, self._binary("MUL", digits[-1], float(digit)))
        return self._concatenated([*digits, rest], count, width)

    def _floor(self, tensor: int, digit: int) -> int:
        """The floor of a tensor over a number."""
        ratio = self._binary("MUL", tensor, 1 / digit)
        return self._add("FLOOR", [ratio], list(self.graph.tensors[ratio].shape))

    def _binary(self, operator: str, tensor: int, other: int | float) -> int:
        """A tensor and another one, or a number, which is a float."""
        second = self._constant(other) if isinstance(other, float) else other
        shape = list(self.graph.tensors[tensor].shape)
        return self._add(operator, [tensor, second], shape, f"{operator.title()}Options")

    def _concatenated(self, tensors: list[int], count: int, width: int) -> int:
        return self._add("CONCATENATION", tensors, [count, width], "ConcatenationOptions", axis=1)

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
        """A number, float32, or an array of float32 or int8."""
        array = np.asarray(value, None if isinstance(value, np.ndarray) else np.float32)
        buffer, types = self.schema.BufferT(), self.schema.TensorType
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        kind = types.INT8 if array.dtype == np.int8 else types.FLOAT32
        return self._tensor(list(array.shape), kind, len(self.model.buffers) - 1)

    def _tensor(self, shape: list[int], kind: int, buffer: int) -> int:
        tensor = self.schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = np.array(shape, np.int32), kind, buffer
        tensor.name = f"{self.name}{self.mark}{len(self.graph.tensors)}".encode()
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
