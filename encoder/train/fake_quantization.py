"""Quantization-aware training: fake quantization adds the noise that the export will add.

Forward values are quantized and dequantized as the quantization recipe will, gradients pass unchanged (the
straight-through estimator of Bengio et al., 2013; as in Jacob et al., 2018). Word vectors get 4 bits with a
scale a row. What goes into and comes out of every linear layer, every activation of a convolution and every
residual sum of the backbone get 8 bits with a range a tensor. Weights have a scale a channel and lose too
little to matter.

Our own hooks, since torch.ao's QAT wants modules swapped or a graph traced; the kernel is torch's.
"""

from __future__ import annotations

import torch
from timm.layers import BatchNormAct2d
from timm.models.byobnet import BottleneckBlock
from torch import Tensor, nn

WORD_LEVELS = 7
"""Largest magnitude of a signed 4-bit number whose range is symmetric."""
STEPS = 255
"""Of an 8-bit range."""


def fake_quantize(encoder: nn.Module) -> None:
    """Makes an encoder, in place, quantize and dequantize its word vectors and activations."""
    words = _largest_table(encoder)
    for module in encoder.modules():
        if module is words:
            module.register_forward_hook(lambda _, __, rows: _straight_through(rows, _four_bits(rows)))
        elif isinstance(module, nn.Linear):
            module.register_forward_pre_hook(_quantize_input)
            module.register_forward_hook(_quantize_output)
        elif isinstance(module, BatchNormAct2d):
            module.act.register_forward_pre_hook(_quantize_input)
            if not isinstance(module.act, nn.Identity):
                module.act.register_forward_hook(_quantize_output)
        elif isinstance(module, BottleneckBlock):
            module.register_forward_hook(_quantize_output)


def _largest_table(encoder: nn.Module) -> nn.Embedding | None:
    tables = [module for module in encoder.modules() if isinstance(module, nn.Embedding)]
    return max(tables, key=lambda table: table.num_embeddings, default=None)


def _quantize_input(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (_eight_bits(inputs[0]), *inputs[1:])


def _quantize_output(_: nn.Module, __: tuple[Tensor, ...], found: Tensor) -> Tensor:
    return _eight_bits(found)


def _straight_through(exact: Tensor, quantized: Tensor) -> Tensor:
    """The quantized values, with the gradient of the exact ones."""
    return exact + (quantized - exact).detach()


def _four_bits(rows: Tensor) -> Tensor:
    """Quantizes vectors, [..., D], each to 15 levels of its own scale."""
    rows = rows.detach()
    scale = (rows.abs().amax(dim=-1, keepdim=True) / WORD_LEVELS).clamp(min=1e-12)
    return (rows / scale).round() * scale


def _eight_bits(values: Tensor) -> Tensor:
    """Quantizes a tensor to 256 levels from its smallest to its largest value; the gradient passes."""
    low, high = (bound.float() for bound in values.detach().aminmax())
    low, high = low.clamp(max=0), high.clamp(min=0)
    scale = ((high - low) / STEPS).clamp(min=1e-12)
    zero = (-low / scale).round().clamp(0, STEPS).to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(values.float(), scale, zero, 0, STEPS).to(values.dtype)
