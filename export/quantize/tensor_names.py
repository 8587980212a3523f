"""Leaves out of the shipped .tflite what no engine needs.

Names of tensors are module paths, 0.4 MB of them. A tensor that the float file has too keeps the number that
it has there, so that both files can be laid side by side again; the others lose their names. Signatures have
names of their own.

Zero points of channels are zeros, eight bytes each, written for weights and biases alike: 0.2 MB of
`balanced`, 0.7 of `high_performance_pruned`. Lists of the same numbers are written once, and tables point
to them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np

from export.quantize.layers import read_model

IDENTIFIER = b"TFL3"
"""Of a TensorFlow Lite file."""


class _SharingBuilder(flatbuffers.Builder):
    """Writes each list of numbers once, but for tensors' data: engines tell weights by where they lie."""

    def __init__(self):
        super().__init__(1024)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802, the library's name
        if x.dtype == np.uint8:
            return super().CreateNumpyVector(x)
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]


def strip_tensor_names(path: Path, source: Path, *, keep: bool = False) -> None:
    """Takes the tensors' names, and what is written twice, out of a quantized file made of `source`.

    Args:
        keep: leave the names, for those who look at the file: module paths, 0.4 MB of them.
    """
    path.write_bytes(_renamed(path, source, (lambda *_: None) if keep else shorten_names))


def with_tensor_names(path: Path, source: Path) -> bytes:
    """Returns a slim file with the tensors' names of `source`, the float file that it was made of."""
    return _renamed(path, source, restore_names)


def _renamed(path: Path, source: Path, change: Callable[[Any, Any], None]) -> bytes:
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    change(model, read_model(source))
    builder = _SharingBuilder()
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def shorten_names(model: Any, source: Any) -> None:
    """Shortens, in place, the names of `model`'s tensors to their numbers in `source`, the float model."""
    for graph, original in zip(model.subgraphs, source.subgraphs, strict=True):
        numbers = {tensor.name: index for index, tensor in enumerate(original.tensors)}
        for tensor in graph.tensors:
            tensor.name = str(numbers[tensor.name]).encode() if tensor.name in numbers else b""


def restore_names(model: Any, source: Any) -> None:
    """Undoes `shorten_names`; a name that is no number stays."""
    for graph, original in zip(model.subgraphs, source.subgraphs, strict=True):
        for tensor in graph.tensors:
            if tensor.name.isdigit():
                tensor.name = original.tensors[int(tensor.name)].name
