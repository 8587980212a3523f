"""Lays the border around a map by concatenation, where a convolution with a stride needs one.

TensorFlow Lite pads a convolution either nowhere or so that stride and map fit, which for a stride of two is
less than PyTorch pads at the top and the left. The converter then writes a PAD, which costs up to ten
instructions a number; to concatenate rows and columns of zeros costs a few instructions a row. Measured on
the A76: the 3x3 convolution of 16 channels at 128x64 with its PAD 1.03 -> 0.31 million instructions.
"""

from __future__ import annotations

import torch
from timm.layers import ConvNormAct
from torch import Tensor, nn

from encoder.model import Encoder


class BorderedConv(nn.Module):
    """Convolution that equals a padded one, from the same weights.

    Args:
        conv: with zeros for padding; it is changed in place.
    """

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        self.before = conv.padding
        self.conv = conv
        conv.padding = (0, 0)

    def forward(self, features: Tensor) -> Tensor:
        """Maps float32 [B, C, H, W] to float32 [B, C', h, w]."""
        for axis in (2, 3):
            before, after = self.widths(axis, features.shape[axis])
            parts = (self.strip(features, axis, before), features, self.strip(features, axis, after))
            features = torch.cat([part for part in parts if part.shape[axis]], dim=axis)
        return self.conv(features)

    def widths(self, axis: int, length: int) -> tuple[int, int]:
        """Returns how much is laid before and after a map's rows (axis 2) or columns (3)."""
        kernel, stride = self.conv.kernel_size[axis - 2], self.conv.stride[axis - 2]
        before = self.before[axis - 2]
        steps = (length + 2 * before - kernel) // stride
        return before, max(0, steps * stride + kernel - length - before)

    def strip(self, features: Tensor, axis: int, width: int) -> Tensor:
        """Returns a part of the border, as long as a map's other axis."""
        shape = list(features.shape)
        shape[axis] = width
        return features.new_zeros(shape)


class ColouredBorder(BorderedConv):
    """The same with a border of some colour, for images of one size.

    Args:
        conv: as in `BorderedConv`.
        colour: [1, C, 1, 1].
        size: height and width of the images.
    """

    def __init__(self, conv: nn.Conv2d, colour: Tensor, size: tuple[int, int]):
        super().__init__(conv)
        height, width = size
        rows, columns = self.widths(2, height), self.widths(3, width)
        for side, count in zip(("before", "after"), rows, strict=True):
            self.register_buffer(f"rows_{side}", colour.repeat(1, 1, count, width))
        for side, count in zip(("before", "after"), columns, strict=True):
            self.register_buffer(f"columns_{side}", colour.repeat(1, 1, height + sum(rows), count))

    def forward(self, features: Tensor) -> Tensor:
        """Maps float32 [B, C, H, W] to float32 [B, C', h, w]."""
        for axis, before, after in (
            (2, self.rows_before, self.rows_after),
            (3, self.columns_before, self.columns_after),
        ):
            strips = [strip.repeat(len(features), 1, 1, 1) for strip in (before, after)]
            parts = (strips[0], features, strips[1])
            features = torch.cat([part for part in parts if part.shape[axis]], dim=axis)
        return self.conv(features)


def borders(encoder: Encoder) -> None:
    """Replaces, in place, the strided convolutions of whatever reads pixels.

    Not those of MobileViT: they run in INT8, and there XNNPACK joins a PAD with its convolution.
    """
    for part in (encoder.backbone, encoder.regions, encoder.global_view):
        if any(isinstance(module, ConvNormAct) for module in part.modules()):
            continue
        for module in list(part.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Conv2d) and not isinstance(module, BorderedConv) and _is_short(child):
                    setattr(module, name, BorderedConv(child))


def _is_short(conv: nn.Conv2d) -> bool:
    """Whether the convolution steps over its map and is padded with zeros at its sides."""
    return conv.padding_mode == "zeros" and max(conv.stride) > 1 and conv.padding not in ("same", (0, 0))
