"""Global view: the whole screen as one token, from the backbone's map."""

from __future__ import annotations

from typing import ClassVar

import timm
import torch.nn.functional as F
from timm.models.fastvit import LayerScale2d
from torch import Tensor, nn

from encoder.config import ConfigError
from encoder.modules.backbone import (
    BRANCH_GAIN,
    Backbone,
    data_dependent_init,
    noise_screens,
    normalization,
    pixel_statistics,
)
from encoder.modules.slots import GlobalView, Screen


class SimpleMlp(GlobalView):
    """Average pool, then Linear, LayerNorm and GELU.

    Args:
        backbone: gives the channels of its deepest map.
        dim: width of the token.
    """

    def __init__(self, backbone: Backbone, dim: int):
        super().__init__()
        self.projection = nn.Linear(backbone.channels, dim)
        self.norm = nn.LayerNorm(dim)
        self.activation = nn.GELU()

    def forward(self, screen: Screen) -> Tensor:
        """Maps a screen to a token, float32 [B, 1, dim]."""
        pooled = screen.features.mean(dim=(2, 3))  # [B, C]
        return self.activation(self.norm(self.projection(pooled))).unsqueeze(1)


class AvgPoolMlp(GlobalView):
    """Average pool, then two linear layers with a ReLU between, through a bottleneck.

    Args:
        backbone: gives the channels of its deepest map.
        dim: width of the token.
    """

    HIDDEN = 64

    def __init__(self, backbone: Backbone, dim: int):
        super().__init__()
        self.reduce = nn.Linear(backbone.channels, self.HIDDEN)
        self.expand = nn.Linear(self.HIDDEN, dim)

    def forward(self, screen: Screen) -> Tensor:
        """Maps a screen to a token, float32 [B, 1, dim]."""
        pooled = screen.features.mean(dim=(2, 3))  # [B, C]
        return self.expand(F.relu(self.reduce(pooled))).unsqueeze(1)


class MobileClip(GlobalView):
    """The image tower of MobileCLIP-S0 (Vasu et al., 2024) on the screenshot itself, its output projected.

    timm's `fastvit_mci0`: 11 million parameters in the form that is trained; its parallel branches become one
    convolution each before export.

    Args:
        backbone: not used; the tower has features of its own.
        dim: width of the token.
        width: channels of the first stage, a multiple of 4; each later stage has twice as many, since a
            depthwise convolution with two outputs a channel leads to it.

    Raises:
        ConfigError: the last stage's attention cannot be cut into heads of 32 channels.
    """

    MODEL = "fastvit_mci0"
    SIZES: ClassVar[dict[str, int]] = {"width": 64}

    def __init__(self, backbone: Backbone, dim: int, *, width: int = SIZES["width"]):
        super().__init__()
        if width % 4:
            raise ConfigError(f"global_width is {width}; it must be a multiple of 4: heads are 32 wide")
        widths = tuple(width * 2**stage for stage in range(4))
        self.tower = timm.create_model(self.MODEL, num_classes=0, embed_dims=widths)
        mean, std = pixel_statistics(self.MODEL)
        for module in self.tower.modules():
            if isinstance(module, LayerScale2d):
                nn.init.constant_(module.gamma, BRANCH_GAIN)
        data_dependent_init(self.tower, lambda: self.tower((noise_screens() - mean) / std))
        scale, offset = normalization(self.MODEL)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("offset", offset, persistent=False)
        self.projection = nn.Linear(self.tower.num_features, dim)

    def forward(self, screen: Screen) -> Tensor:
        """Maps a screen to a token, float32 [B, 1, dim]."""
        pixels = screen.image.permute(0, 3, 1, 2).float()  # [B, 3, H, W]
        return self.projection(self.tower(pixels * self.scale + self.offset)).unsqueeze(1)


GLOBAL_VIEWS: dict[str, type[GlobalView]] = {
    "simple_mlp": SimpleMlp,
    "simple_projection": SimpleMlp,
    "avg_pool_mlp": AvgPoolMlp,
    "mobileclip_s0": MobileClip,
}
"""`simple_projection` is another name of `simple_mlp`."""
