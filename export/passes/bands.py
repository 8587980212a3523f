"""Splits large depthwise kernels into bands of rows, and adds up what they give.

XNNPACK's depthwise kernels know 25 places at most; with more, such as FastViT's 7x7, it computes each channel
as a matrix product of its own, which costs some twenty times as much. Three bands, of three, three and one
rows, have the same sum.
"""

from __future__ import annotations

from functools import reduce
from operator import add

import torch
from torch import Tensor, nn

from encoder.model import Encoder

MOST_PLACES = 25


class BandedConv(nn.Module):
    """Depthwise convolution that equals a larger one padded with zeros, from the same weights."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        height, width = conv.kernel_size
        self.kernel, self.stride, self.padding = conv.kernel_size, conv.stride, conv.padding
        self.starts = range(0, height, MOST_PLACES // width)
        self.bands = nn.ModuleList()
        for start in self.starts:
            rows = conv.weight[:, :, start : start + self.starts.step]
            bias = conv.bias is not None and start == 0
            band = nn.Conv2d(
                conv.in_channels,
                conv.out_channels,
                rows.shape[2:],
                conv.stride,
                groups=conv.groups,
                bias=bias,
            )
            band.weight = nn.Parameter(rows.clone())
            if bias:
                band.bias = conv.bias
            self.bands.append(band)

    def forward(self, features: Tensor) -> Tensor:
        """Maps float32 [B, C, H, W] to float32 [B, C, h, w]."""
        for axis in (2, 3):
            shape = list(features.shape)
            shape[axis] = self.padding[axis - 2]
            strip = features.new_zeros(shape)
            features = torch.cat([strip, features, strip], dim=axis)
        steps = (features.shape[2] - self.kernel[0]) // self.stride[0] * self.stride[0]
        return reduce(
            add,
            (
                band(features[:, :, start : start + steps + band.kernel_size[0]])
                for start, band in zip(self.starts, self.bands, strict=True)
            ),
        )


def bands(encoder: Encoder) -> None:
    """Replaces, in place, the depthwise convolutions that are too large for XNNPACK's kernels."""
    for part in (encoder.backbone, encoder.regions, encoder.global_view):
        for module in list(part.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Conv2d) and _is_large(child):
                    setattr(module, name, BandedConv(child))


def _is_large(conv: nn.Conv2d) -> bool:
    height, width = conv.kernel_size
    depthwise = conv.groups == conv.in_channels == conv.out_channels and conv.dilation == (1, 1)
    padded = conv.padding_mode == "zeros" and not isinstance(conv.padding, str) and min(conv.padding) > 0
    return depthwise and padded and height * width > MOST_PLACES >= width
