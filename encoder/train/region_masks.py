"""Masks of regions against the boxes that the screens were drawn with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

CLOSE_TO_ZERO = 1e-6


def covered(boxes: Tensor, size: Sequence[int]) -> Tensor:
    """How much of each cell lies inside each box.

    Args:
        boxes: float32 [B, 4, 5]: presence, x, y, width and height as parts of the screen.
        size: rows and columns of the cells.

    Returns:
        float32 [B, 4, rows, columns], 0 to 1; 0 where there is no box.
    """
    present, x, y, width, height = boxes.unbind(dim=2)
    down = _overlap(y, y + height, size[0])  # [B, 4, rows]
    right = _overlap(x, x + width, size[1])  # [B, 4, columns]
    return present[..., None, None] * down[..., :, None] * right[..., None, :]


def _overlap(start: Tensor, end: Tensor, cells: int) -> Tensor:
    """Part of each of `cells` equal cells of [0, 1] that an interval covers, [..., cells]."""
    edges = torch.arange(cells + 1, device=start.device) / cells
    first, last = torch.maximum(start[..., None], edges[:-1]), torch.minimum(end[..., None], edges[1:])
    return (last - first).clamp(min=0) * cells


def iou(masks: Tensor, right: Tensor) -> Tensor:
    """Intersection over union of soft masks, float32 [B, 4] of [B, 4, h, w] each."""
    both = torch.minimum(masks, right).sum(dim=(2, 3))
    return both / torch.maximum(masks, right).sum(dim=(2, 3)).clamp(min=CLOSE_TO_ZERO)


def mask_loss(masks: Tensor, right: Tensor) -> Tensor:
    """Cross entropy of all cells, and for the regions that are there what their IoU lacks of 1.

    Args:
        masks: what the encoder found, float32 [B, 4, h, w] in [0, 1].
        right: as `covered` gives it.
    """
    cells = binary_cross_entropy(masks.clamp(CLOSE_TO_ZERO, 1 - CLOSE_TO_ZERO), right)
    present = (right.amax(dim=(2, 3)) > 0).float()
    lacking = ((1 - iou(masks, right)) * present).sum() / present.sum().clamp(min=1)
    return cells + lacking


def mean_iou(masks: Tensor, right: Tensor) -> float:
    """Mean IoU of the regions that are there; 0 where there is none."""
    present = right.amax(dim=(2, 3)) > 0
    return float(iou(masks, right)[present].mean()) if present.any() else 0.0
