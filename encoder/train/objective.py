"""What training asks for: contrastive losses, and small heads that only training has."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, smooth_l1_loss

from encoder.config import TOKEN_DIM
from runtime.bundle import REGION_NAMES

START_TEMPERATURE, LOWEST_TEMPERATURE = 0.05, 0.01
BOX_SCALE = 0.05
"""Errors of box edges below this part of the screen count by their square."""
BOX_WEIGHT = 5.0
HIDDEN = 128


class Temperature(nn.Module):
    """A learned factor for cosines, held between 1 and 1 / LOWEST_TEMPERATURE."""

    def __init__(self):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(START_TEMPERATURE)))

    def forward(self, cosines: Tensor) -> Tensor:
        """Scales cosines to logits."""
        return cosines * self.log_scale.clamp(0.0, -math.log(LOWEST_TEMPERATURE)).exp()


class ContextHeads(nn.Module):
    """What only training needs: temperatures, and heads that read boxes and looks from the screen tokens.

    Args:
        look_sizes: classes of each look.
    """

    def __init__(self, look_sizes: Sequence[int]):
        super().__init__()
        self.target_scale = Temperature()
        self.caption_scale = Temperature()
        self.look_sizes = list(look_sizes)
        self.looks = nn.Linear(TOKEN_DIM, sum(look_sizes))
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

    def look_loss(self, view: Tensor, look: Tensor) -> Tensor:
        """Mean cross entropy over the looks.

        Args:
            view: global screen tokens, float32 [B, 256].
            look: int64 [B, len(look_sizes)].
        """
        parts = self.looks(view).split(self.look_sizes, dim=1)
        losses = [cross_entropy(logits, look[:, i]) for i, logits in enumerate(parts) if logits.shape[1] > 1]
        return torch.stack(losses).mean() if losses else view.sum() * 0


def kind_loss(logits: Tensor, kind: Tensor, kinds: int) -> Tensor:
    """Cross entropy of finding a sentence about the right kind of app; whichever of them is nearest.

    Args:
        logits: float32 [A, K], of contexts with sentences; as many of each kind, kind by kind.
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
    twins = (label[:, None] == label).fill_diagonal_(False)
    back = back.masked_fill(twins, -torch.inf)
    return (there + cross_entropy(back, torch.arange(len(label), device=label.device))) / 2
