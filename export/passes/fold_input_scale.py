"""Folds the normalization of the pixels into the first convolution, so that it reads bytes as they are.

Scale and mean are linear, so the convolution's weights and bias can carry them. Where there is a mean, the
border is no longer zero then but has the mean colour, which normalization made zero (`borders.py`). In INT8
the convolution's input has a scale of one, and `export/quantize/byte_input.py` feeds it the image's bytes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from encoder.model import Encoder
from encoder.modules.backbone import Backbone
from export.passes.borders import ColouredBorder


class ByteBackbone(nn.Module):
    """Backbone that equals `Backbone`, from the same weights.

    Args:
        backbone: gives the features.
        first: the one convolution of it that reads pixels.
    """

    def __init__(self, backbone: Backbone, first: nn.Conv2d):
        super().__init__()
        self.features = backbone.features
        self.channels, self.map_size = backbone.channels, backbone.map_size
        if backbone.offset.any():
            _carry_offset(self.features, first, backbone)
        first.weight = nn.Parameter(first.weight * backbone.scale.view(1, -1, 1, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Maps RGB bytes, uint8 [B, H, W, 3], to features, float32 [B, C, h, w] each, finest first."""
        return tuple(self.features(image.permute(0, 3, 1, 2).float()))


def _carry_offset(features: nn.Module, first: nn.Conv2d, backbone: Backbone) -> None:
    """Adds to the bias what the offset adds to each sum, and borders the map with what normalizes to zero."""
    shift = (first.weight * backbone.offset).sum(dim=(1, 2, 3))
    first.bias = nn.Parameter(shift if first.bias is None else first.bias + shift)
    if first.padding != (0, 0):
        bordered = ColouredBorder(first, -backbone.offset / backbone.scale, backbone.image_size)
        for module in list(features.modules()):
            for name, child in module.named_children():
                if child is first and module is not bordered:
                    setattr(module, name, bordered)


def _readers(backbone: Backbone) -> list[nn.Conv2d]:
    """The convolutions that read the normalized pixels themselves."""
    pixels, found = torch.zeros(1, 3, *backbone.image_size), []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0] is pixels:
            found.append(module)

    convolutions = [module for module in backbone.features.modules() if isinstance(module, nn.Conv2d)]
    hooks = [module.register_forward_pre_hook(note) for module in convolutions]
    backbone.features(pixels)
    for hook in hooks:
        hook.remove()
    return found


def fold_input_scale(encoder: Encoder) -> None:
    """Replaces, in place, a backbone whose pixels go into one plain convolution."""
    backbone = encoder.backbone
    if not isinstance(backbone, Backbone):
        return
    readers = _readers(backbone)
    if len(readers) == 1 and readers[0].groups == 1 and readers[0].padding_mode == "zeros":
        encoder.backbone = ByteBackbone(backbone, readers[0])
