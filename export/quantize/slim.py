"""Leaves out of the shipped .tflite what no engine reads: the names of tensors, 0.4 MB of module paths.

A tensor that the float file has too keeps the number that it has there, so that both files can be laid side
by side again; the others lose their names. Signatures have names of their own.
"""

from __future__ import annotations

from typing import Any


def shorten_names(model: Any, source: Any) -> None:
    """Shortens, in place, the names of `model`'s tensors to their numbers in `source`, the float model."""
    for graph, original in zip(model.subgraphs, source.subgraphs, strict=True):
        numbers = {tensor.name: index for index, tensor in enumerate(original.tensors)}
        for tensor in graph.tensors:
            tensor.name = str(numbers[tensor.name]).encode() if tensor.name in numbers else b""


def restore_names(model: Any, source: Any) -> None:
    """Undoes `shorten_names`."""
    for graph, original in zip(model.subgraphs, source.subgraphs, strict=True):
        for tensor in graph.tensors:
            tensor.name = original.tensors[int(tensor.name)].name if tensor.name else b""
