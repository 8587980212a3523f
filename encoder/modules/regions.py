"""Regions: four parts of the screen, a token each, from the backbone's map."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from encoder.modules.backbone import Backbone
from encoder.modules.mask_decoder import CustomSamLite
from encoder.modules.mobilesam import MobileSamPruned
from encoder.modules.slots import Regions, Screen
from runtime.bundle import REGION_NAMES

_BOXES = (
    (0.0, 0.5, 0.0, 1.0),  # title
    (0.5, 1.0, 0.25, 0.75),  # input
    (0.5, 1.0, 0.0, 1.0),  # keyboard
    (0.0, 0.25, 0.0, 1.0),  # status
)
REGION_BOXES = dict(zip(REGION_NAMES, _BOXES, strict=True))
"""Top, bottom, left and right of each region as fractions of the screen, in the order of the tokens."""


class FixedGrid(Regions):
    """Averages the map over four fixed rectangles, then projects all with one shared layer.

    Cells that a rectangle covers in part count by the covered area, so any map size gives the same regions.

    Args:
        backbone: gives the sizes of its deepest map.
        dim: width of a token.
    """

    def __init__(self, backbone: Backbone, dim: int):
        super().__init__()
        self.register_buffer("pooling", pooling_matrix(backbone.map_size), persistent=False)  # [h*w, 4]
        self.projection = nn.Linear(backbone.channels, dim)

    def forward(self, screen: Screen) -> Tensor:
        """Maps a screen to region tokens, float32 [B, 4, dim]."""
        pooled = screen.features.flatten(2) @ self.pooling  # [B, C, h*w] @ [h*w, 4] -> [B, C, 4]
        return self.projection(pooled.transpose(1, 2))  # [B, 4, dim]


def pooling_matrix(map_size: tuple[int, int]) -> Tensor:
    """Returns the area weights of each cell in each region, float32 [h*w, 4]; every column sums to 1."""
    height, width = map_size
    columns = []
    for top, bottom, left, right in REGION_BOXES.values():
        rows = _overlap(height, top, bottom)
        cols = _overlap(width, left, right)
        area = rows[:, None] * cols[None, :]
        columns.append((area / area.sum()).flatten())
    return torch.stack(columns, dim=1).float()


def _overlap(cells: int, start: float, end: float) -> Tensor:
    """Length that the interval [start, end] of [0, 1] covers in each of `cells` equal cells."""
    edges = torch.arange(cells + 1, dtype=torch.float64) / cells
    return (edges[1:].clamp(max=end) - edges[:-1].clamp(min=start)).clamp(min=0)


REGIONS: dict[str, type[Regions]] = {
    "fixed_grid": FixedGrid,
    "custom_sam_lite": CustomSamLite,
    "mobilesam_pruned": MobileSamPruned,
}
