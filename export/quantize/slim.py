"""Leaves out of the shipped .tflite what no engine reads: the names of tensors, 0.4 MB of module paths.

A tensor that the float file has too keeps the number that it has there, so that both files can be laid side
by side again; the others lose their names. Signatures have names of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def slim(path: Path, source: Path) -> None:
    """Takes the tensors' names out of a quantized file made of `source`."""
    path.write_bytes(_renamed(path, source, shorten_names))


def restored(path: Path, source: Path) -> bytes:
    """Returns a slim file with the tensors' names of `source`, the float file that it was made of."""
    return _renamed(path, source, restore_names)


def _renamed(path: Path, source: Path, change: Callable[[Any, Any], None]) -> bytes:
    from ai_edge_litert.tools import flatbuffer_utils

    model, original = (flatbuffer_utils.read_model(str(file)) for file in (path, source))
    change(model, original)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


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
