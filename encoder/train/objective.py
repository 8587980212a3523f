"""What training asks for: contrastive losses, auxiliary heads that only training has, and the masks' loss."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    smooth_l1_loss,
)

from encoder.config import TOKEN_DIM
from runtime.bundle import REGION_NAMES

START_TEMPERATURE, LOWEST_TEMPERATURE = 0.05, 0.01
BOX_SCALE = 0.05
"""Errors of box edges below this part of the screen count by their square."""
BOX_WEIGHT = 5.0
HIDDEN = 128
CLOSE_TO_ZERO = 1e-6


class Temperature(nn.Module):
    """A learned factor for cosines, held between 1 and 1 / LOWEST_TEMPERATURE."""

    def __init__(self):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(START_TEMPERATURE)))

    def forward(self, cosines: Tensor) -> Tensor:
        """Scales cosines to logits."""
        return cosines * self.log_scale.clamp(0.0, -math.log(LOWEST_TEMPERATURE)).exp()


class ContextHeads(nn.Module):
    """What only training has: temperatures, and auxiliary heads of the screen tokens' boxes and attributes.

    Args:
        class_counts: classes of each attribute.
    """

    def __init__(self, class_counts: Sequence[int]):
        super().__init__()
        self.target_scale = Temperature()
        self.caption_scale = Temperature()
        self.class_counts = list(class_counts)
        self.attributes = nn.Linear(TOKEN_DIM, sum(class_counts))
        # One for each region; a region's token is an average, so its box needs a hidden layer.
        self.boxes = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(TOKEN_DIM), nn.Linear(TOKEN_DIM, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, 5)
            )
            for _ in REGION_NAMES
        )

    def box_loss(self, regions: Tensor, boxes: Tensor) -> Tensor:
        """Is there a title, input field, keyboard, status bar, and where?

        Args:
            regions: float32 [B, 4, 256].
            boxes: float32 [B, 4, 5].
        """
        found = torch.stack([head(regions[:, i]) for i, head in enumerate(self.boxes)], dim=1)  # [B, 4, 5]
        present = boxes[..., :1]
        presence = binary_cross_entropy_with_logits(found[..., :1], present)
        errors = smooth_l1_loss(found[..., 1:].sigmoid(), boxes[..., 1:], beta=BOX_SCALE, reduction="none")
        return presence + BOX_WEIGHT * (errors * present).sum() / (4 * present.sum()).clamp(min=1)

    def attribute_loss(self, view: Tensor, labels: Tensor) -> Tensor:
        """Mean cross entropy over the attributes.

        Args:
            view: global screen tokens, float32 [B, 256].
            labels: int64 [B, len(class_counts)].
        """
        parts = self.attributes(view).split(self.class_counts, dim=1)
        losses = [
            cross_entropy(logits, labels[:, i]) for i, logits in enumerate(parts) if logits.shape[1] > 1
        ]
        return torch.stack(losses).mean() if losses else view.sum() * 0


def class_loss(logits: Tensor, kind: Tensor, kinds: int) -> Tensor:
    """Cross entropy of zero-shot classification: the nearest sentence is one about the right screen class.

    Args:
        logits: float32 [A, K], of contexts with sentences; as many of each class, class by class.
        kind: int64 [A].
        kinds: how many there are.
    """
    return cross_entropy(logits.unflatten(1, (kinds, -1)).logsumexp(dim=2), kind)


def contrast(logits: Tensor, label: Tensor, ignored: Tensor) -> Tensor:
    """InfoNCE both ways: each context finds its candidate, and each context's candidate finds it again.

    Args:
        logits: float32 [A, C].
        label: int64 [A], the right candidate of each context.
        ignored: bool [A, C], candidates that do not count; False at the labels.
    """
    logits = logits.masked_fill(ignored, -torch.inf)
    there = cross_entropy(logits, label)
    # Other contexts with the same right candidate are right as well, so they do not count here.
    back = logits[:, label].T  # [A, A]: row a holds what every context says of a's candidate
    duplicates = (label[:, None] == label).fill_diagonal_(False)
    back = back.masked_fill(duplicates, -torch.inf)
    return (there + cross_entropy(back, torch.arange(len(label), device=label.device))) / 2


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
