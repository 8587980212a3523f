"""Ways to take ranges, and to correct what they cost, as the literature has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from encoder.model import Encoder
from export.quantize.layers import read_model, walk
from export.quantize.ranges import Ranges, Samples, tail_ranges, tflite_activations

SHARES = (0.0, 1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
"""Of values left out at either end, among which the least squared error chooses for each tensor."""
VALUES = 100_000
"""Of a tensor, on which its squared error is measured."""
STEPS = 255
CORRECTED_ON = 4
"""Biases are corrected on every fourth sample."""


def least_squared_error(source: Path, samples: Samples) -> Ranges:
    """Takes for each tensor the percentile of SHARES whose quantized values are nearest to the exact ones.

    As MSE-optimal ranges (Nagel et al., "A White Paper on Neural Network Quantization", 2021).

    Args:
        source: the float .tflite.
        samples: to run it on.
    """
    every = [tail_ranges(tflite_activations(source, samples), share) for share in SHARES]
    kept: dict[str, list[np.ndarray]] = {}
    for name, values, count, given in tflite_activations(source, samples):
        flat = values.ravel()[:0] if given else values.ravel()
        kept.setdefault(name, []).append(flat[:: max(1, flat.size * count // VALUES)].copy())
    chosen = dict(every[0])
    for name, parts in kept.items():
        values = np.concatenate(parts)
        chosen[name] = min((ranges[name] for ranges in every), key=lambda bounds: _error(values, *bounds))
    return chosen


def _error(values: np.ndarray, low: float, high: float) -> float:
    low, high = min(low, 0.0), max(high, 0.0)
    step = max((high - low) / STEPS, 1e-12)
    steps = np.clip(np.rint(values / step), round(low / step), round(low / step) + STEPS)
    return float(np.square(steps * step - values).sum())


def correct_biases(source: Path, quantized: Path, samples: Samples) -> None:
    """Takes the mean error of each channel, over samples, off its layer's bias, one layer after the other.

    As bias correction (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
    Correction", 2019), with measured means. Several at once would correct an error that is passed on twice.

    Args:
        source: the float .tflite.
        quantized: the file made of it, with the tensors' names; changed in place.
        samples: to run both on.
    """
    some = {part: rows[::CORRECTED_ON] for part, rows in samples.items()}
    exact = _channel_means(source, some)
    for layer in _with_biases(quantized):
        if layer in exact:
            _correct(quantized, layer, exact, _channel_means(quantized, some))


def _with_biases(path: Path) -> list[str]:
    """Lists the outputs, by name, of the layers in integers that add a bias, in order."""
    return [
        graph.tensors[operator.outputs[0]].name.decode()
        for _, kind, _, operator, graph in walk(path)
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
        and operator.inputs[2] >= 0
        and graph.tensors[operator.inputs[2]].quantization.scale is not None
    ]


def _correct(
    path: Path, layer: str, exact: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]
) -> None:
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    for graph in model.subgraphs:
        for operator in graph.operators:
            name = graph.tensors[operator.outputs[0]].name.decode()
            if name != layer:
                continue
            bias = graph.tensors[operator.inputs[2]]
            buffer = model.buffers[bias.buffer]
            steps = np.frombuffer(bytes(buffer.data), np.int32)
            off = np.rint((found[name] - exact[name]) / bias.quantization.scale)
            buffer.data = np.frombuffer((steps - off).astype(np.int32).tobytes(), np.uint8)
    path.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))


def _channel_means(path: Path, samples: Samples) -> dict[str, np.ndarray]:
    """Mean of each channel, the last axis, of every computed tensor, dequantized."""
    scales = {
        tensor.name.decode(): (float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0]))
        for graph in read_model(path).subgraphs
        for tensor in graph.tensors
        if tensor.quantization is not None and tensor.quantization.scale is not None
    }
    sums: dict[str, np.ndarray] = {}
    for name, values, count, _ in tflite_activations(path, samples):
        scale, zero = scales.get(name, (1.0, 0)) if values.dtype == np.int8 else (1.0, 0)
        mean = values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64)
        sums[name] = sums.get(name, 0.0) + (mean - zero) * scale / count
    return sums


@torch.no_grad()
def equalize(encoder: Encoder, images: Sequence[np.ndarray]) -> None:
    """Makes the channels between neighbouring layers of attention blocks as wide as each other, in place.

    What one layer is divided by, the next is multiplied with, so that the encoder computes the same. As
    SmoothQuant (Xiao et al., 2023): a channel's factor is the root of its largest value over that of its
    largest weight.

    Args:
        encoder: in evaluation mode.
        images: screens, uint8 [H, W, 3], whose values count.
    """
    blocks = [m for m in encoder.modules() if all(hasattr(m, name) for name in ("norm1", "attn", "mlp"))]
    layers = [layer for block in blocks for layer in (block.attn.qkv, block.attn.proj, block.mlp.fc1)]
    widest = _widest_inputs(
        layers, lambda: [encoder.encode_screen(torch.from_numpy(i)[None]) for i in images]
    )
    for block in blocks:
        for norm, layer in ((block.norm1, block.attn.qkv), (block.norm2, block.mlp.fc1)):
            factor = _factor(widest[layer], layer)
            norm.weight.div_(factor)
            norm.bias.div_(factor)
            layer.weight.mul_(factor)
        proj, width = block.attn.proj, block.attn.proj.in_features
        factor = _factor(widest[proj], proj)
        block.attn.qkv.weight[-width:].div_(factor[:, None])
        block.attn.qkv.bias[-width:].div_(factor)
        proj.weight.mul_(factor)


def _widest_inputs(
    layers: Sequence[nn.Module], run: Callable[[], object]
) -> Mapping[nn.Module, torch.Tensor]:
    found: dict[nn.Module, torch.Tensor] = {}

    def look(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        own = inputs[0].abs().flatten(0, -2).amax(dim=0)
        found[layer] = torch.maximum(found.get(layer, own), own)

    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    run()
    for hook in hooks:
        hook.remove()
    return found


def _factor(widest: torch.Tensor, layer: nn.Linear) -> torch.Tensor:
    return (widest / layer.weight.abs().amax(dim=0).clamp(min=1e-6)).sqrt().clamp(min=1e-3)
