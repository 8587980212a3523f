"""Soft masks of the screen's regions, and the tokens that are pooled under them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoder.modules.attention import Attention
from encoder.modules.backbone import Backbone
from encoder.modules.slots import Regions, Screen

STRIDES = (8, 16)
"""Of the maps that masks are made from, beside the deepest one. A mask has the cells of the first map, and
says how much of each lies inside."""
REGION_COUNT = 4
WAVES = 4
"""Frequencies of a position's sines and cosines, in each direction."""
EMPTY = 1e-3
"""Added to a mask's mean, so that an empty mask pools next to nothing instead of noise."""


class Positions(nn.Module):
    """Adds to each cell of a map what a linear layer makes of its place; any size of map will do.

    Args:
        channels: of the map.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.projection = nn.Linear(2 * (2 * WAVES + 1), channels)

    def forward(self, features: Tensor) -> Tensor:
        """Maps float32 [B, C, h, w] to the same shape."""
        return features + self.table(features.shape[2:])

    def table(self, size: tuple[int, int]) -> Tensor:
        """Returns what is added to a map of height and width `size`, float32 [1, C, h, w]."""
        device = self.projection.weight.device
        down, right = ((torch.arange(side, device=device) + 0.5) / side * 2 - 1 for side in size)
        grid = torch.cat(torch.broadcast_tensors(_waves(down)[:, None], _waves(right)[None]), dim=-1)
        return self.projection(grid).permute(2, 0, 1)[None]  # [h, w, 2 * (2 * WAVES + 1)] -> [1, C, h, w]


def _waves(place: Tensor) -> Tensor:
    """A coordinate in [-1, 1], [n], with its sines and cosines, [n, 2 * WAVES + 1]."""
    angles = place[:, None] * math.pi * torch.arange(1, WAVES + 1, device=place.device)
    return torch.cat([place[:, None], angles.sin(), angles.cos()], dim=-1)


class PromptLayer(nn.Module):
    """The prompts attend to the map, and think about what they found.

    Args:
        dim: width of the prompts.
        heads: of the attention.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.cross = Attention(dim, heads)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.linear1, self.linear2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, prompts: Tensor, memory: Tensor) -> Tensor:
        """Maps float32 [B, 4, dim], which attend to [B, N, dim], to [B, 4, dim]."""
        prompts = self.norm1(prompts + self.cross(prompts, memory))
        return self.norm2(prompts + self.linear2(F.relu(self.linear1(prompts))))


class PixelPyramid(nn.Module):
    """Carries deep maps up to the finest one, as a feature pyramid does (Lin et al., 2017).

    Args:
        channels: of the three maps, finest first.
        dim: channels of the result.
    """

    def __init__(self, channels: tuple[int, ...], dim: int):
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(count, dim, 1) for count in channels)
        self.positions = Positions(dim)
        self.mix = nn.Sequential(
            nn.Conv2d(dim, dim, 3, padding=1, groups=dim), nn.Conv2d(dim, dim, 1), nn.ReLU()
        )

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Maps three maps, float32 [B, C, h, w] each, finest first, to one, [B, dim, h, w] of the finest."""
        fine, coarse, deepest = (
            lateral(features) for lateral, features in zip(self.laterals, maps, strict=True)
        )
        return self.mix(self.positions(fine + _twice(coarse + _twice(deepest))))


def _twice(features: Tensor) -> Tensor:
    """[B, C, h, w] -> [B, C, 2 h, 2 w]."""
    return F.interpolate(features, scale_factor=2.0, mode="bilinear")


class MaskDecoder(nn.Module):
    """Four learned prompts become a soft mask each, as in SAM's decoder (Kirillov et al., 2023).

    The prompts attend to the deepest map twice; what comes out of each is multiplied with every pixel of the
    finest map.

    Args:
        channels: of the three maps, finest first.
        dim: width of the prompts.
        pixel_dim: width of a pixel.
        heads: of the attention.
    """

    def __init__(self, channels: tuple[int, ...], *, dim: int = 128, pixel_dim: int = 16, heads: int = 4):
        super().__init__()
        self.pixels = PixelPyramid(channels, pixel_dim)
        self.memory = nn.Conv2d(channels[-1], dim, 1)
        self.positions = Positions(dim)
        self.prompts = nn.Parameter(torch.randn(1, REGION_COUNT, dim) * dim**-0.5)
        self.first = PromptLayer(dim, heads)
        self.among = Attention(dim, heads)
        self.norm = nn.LayerNorm(dim)
        self.second = PromptLayer(dim, heads)
        self.hidden, self.weights = nn.Linear(dim, dim), nn.Linear(dim, pixel_dim)
        self.pixel_dim = pixel_dim

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Maps three maps, finest first, to masks in [0, 1] and pixels, float32 [B, 4 or pixel_dim, h, w]."""
        pixels = self.pixels(maps)  # [B, P, h, w]
        memory = self.positions(self.memory(maps[-1])).flatten(2).transpose(1, 2)  # [B, N, dim]
        prompts = self.first(self.prompts.expand(len(pixels), -1, -1), memory)  # [B, 4, dim]
        prompts = self.second(self.norm(prompts + self.among(prompts, prompts)), memory)
        weights = self.weights(F.relu(self.hidden(prompts)))  # [B, 4, P]
        masks = (weights @ pixels.flatten(2)).sigmoid()  # [B, 4, h * w]
        return masks.unflatten(2, pixels.shape[2:]), pixels


class MaskPool(nn.Module):
    """Averages pixels, and the deepest map, under each mask, and projects both to a token.

    Args:
        pixel_dim: width of a pixel.
        channels: of the deepest map.
        dim: width of a token.
    """

    def __init__(self, pixel_dim: int, channels: int, dim: int):
        super().__init__()
        self.projection = nn.Linear(pixel_dim + channels, dim)

    def forward(self, masks: Tensor, pixels: Tensor, features: Tensor) -> Tensor:
        """Pools masks [B, 4, H, W] over pixels [B, P, H, W] and features [B, C, h, w] to [B, 4, dim]."""
        batch, count, height, width = masks.shape
        h, w = features.shape[2:]
        fine = masks.flatten(2)  # [B, 4, H * W]
        rows = masks.reshape(batch, count * h, height // h, width).mean(dim=2)  # [B, 4 * h, W]
        cells = rows.reshape(batch, count * h, w, width // w).mean(dim=3).reshape(batch, count, h * w)
        under = [
            weights @ found.flatten(2).transpose(1, 2) * (1.0 / weights.shape[2])  # [B, 4, P or C]
            for weights, found in ((fine, pixels), (cells, features))
        ]
        share = cells.mean(dim=2, keepdim=True) + EMPTY  # [B, 4, 1], of the screen
        return self.projection(torch.cat(under, dim=2) / share)


def mask_size(backbone: Backbone) -> tuple[int, int]:
    """Returns height and width of the masks on a backbone's image size."""
    height, width = (side // STRIDES[0] for side in backbone.image_size)
    return height, width


class CustomSamLite(Regions):
    """Masks from the backbone's own maps: 0.6 million parameters, next to no work.

    Args:
        backbone: gives the channels of its three maps.
        dim: width of a token.
    """

    strides = STRIDES
    finds_regions = True

    def __init__(self, backbone: Backbone, dim: int):
        super().__init__()
        self.mask_size = mask_size(backbone)
        self.decoder = MaskDecoder(backbone.map_channels)
        self.pool = MaskPool(self.decoder.pixel_dim, backbone.channels, dim)

    def forward(self, screen: Screen) -> Tensor:
        """Maps a screen to region tokens, float32 [B, 4, dim]."""
        return self.decode(screen)[0]

    def masks(self, screen: Screen) -> Tensor:
        """Maps a screen to soft masks in [0, 1], float32 [B, 4, H / 8, W / 8]; 1 = inside the region."""
        return self.decoder(screen.maps)[0]

    def decode(self, screen: Screen) -> tuple[Tensor, Tensor]:
        """Maps a screen to its tokens and its masks, as `forward` and `masks` give them."""
        masks, pixels = self.decoder(screen.maps)
        return self.pool(masks, pixels, screen.features), masks
