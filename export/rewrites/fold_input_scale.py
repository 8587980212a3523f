"""Folds the scale of the pixels into the first convolution, so that it reads bytes as they are.

Only where the backbone takes no mean off: with one, the convolution's zero padding would mean another colour.
In INT8 the convolution's input then has a scale of one, and `export/quantize/byte_input.py` feeds it the
image's bytes.
"""

from __future__ import annotations

from torch import Tensor, nn

from encoder.model import Encoder
from encoder.vision import Backbone


class ByteBackbone(nn.Module):
    """Backbone that equals `Backbone`, from the same weights."""

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.features = backbone.features
        self.channels, self.map_size = backbone.channels, backbone.map_size
        first = next(module for module in self.features.modules() if isinstance(module, nn.Conv2d))
        first.weight = nn.Parameter(first.weight * backbone.scale.view(1, -1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Maps RGB bytes, uint8 [B, H, W, 3], to features, float32 [B, channels, h, w]."""
        return self.features(image.permute(0, 3, 1, 2).float())[-1]


def fold_input_scale(encoder: Encoder) -> None:
    """Replaces, in place, a backbone that only scales its pixels."""
    backbone = encoder.backbone
    if isinstance(backbone, Backbone) and not backbone.offset.any():
        encoder.backbone = ByteBackbone(backbone)
