"""The loss of region masks against the boxes that the screens were drawn with."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

CLOSE_TO_ZERO = 1e-6


def mask_loss(masks: Tensor, right: Tensor) -> Tensor:
    """Cross entropy of all cells, and for the regions that are there what their IoU lacks of 1.

    Args:
        masks: what the encoder found, float32 [B, 4, h, w] in [0, 1].
        right: how much of each cell lies in the box, as `region_cells.covered` gives it.
    """
    cells = binary_cross_entropy(masks.clamp(CLOSE_TO_ZERO, 1 - CLOSE_TO_ZERO), right)
    both = torch.minimum(masks, right).sum(dim=(2, 3))
    either = torch.maximum(masks, right).sum(dim=(2, 3)).clamp(min=CLOSE_TO_ZERO)
    present = (right.amax(dim=(2, 3)) > 0).float()
    lacking = ((1 - both / either) * present).sum() / present.sum().clamp(min=1)
    return cells + lacking
