"""The tokens of all training screens, computed once, for training only what reads them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from encoder.model import Encoder
from encoder.train.align import fused
from encoder.train.augment import augment
from encoder.train.batches import Collator

VIEWS = 3
"""Of each screen: as it is, and as other phones would show it."""
SCREENS_AT_ONCE = 64
NOISE = 0.15
"""Added to every number, as a part of its token's deviation: about what quantization does to a token."""
VISION = ("backbone.", "regions.", "global_view.")
"""Beginnings of the names of parameters that the tokens depend on."""


class ScreenBank:
    """Screen tokens by sample and view, in half precision.

    Args:
        encoder: in evaluation mode, its screen's part exact.
        collator: knows the samples' pixels and boxes.
        count: samples, the collator's first.
        seed: of the views.
        folder: keeps the tokens for the next run of the same encoder on the same screens.
        device: where the encoder is.
        on_progress: called with screens done and screens in all.
    """

    def __init__(
        self,
        encoder: Encoder,
        collator: Collator,
        count: int,
        seed: int,
        folder: Path,
        device: torch.device,
        on_progress: Callable[[int, int], None],
    ):
        self.seed = seed
        digest = hashlib.sha256(repr((count, seed, VIEWS, SCREENS_AT_ONCE)).encode())
        for name, value in encoder.state_dict().items():
            if name.startswith(VISION):
                digest.update(value.cpu().numpy().tobytes())
        for start in range(0, count, SCREENS_AT_ONCE):
            digest.update(collator.images(np.arange(start, min(start + SCREENS_AT_ONCE, count))).numpy())
        kept = folder / f"tokens-{digest.hexdigest()[:16]}.npy"
        if not kept.is_file():
            found = _all_tokens(fused(encoder), collator, count, seed, device, on_progress)
            part = kept.with_suffix(f".{os.getpid()}.part")
            with part.open("wb") as file:
                np.save(file, found)
            part.rename(kept)
        self.tokens = torch.from_numpy(np.load(kept)).to(device)

    def draw(self, rows: Tensor, step: int) -> Tensor:
        """Tokens of samples, each in a view drawn for this step, with a little noise.

        Args:
            rows: int64 [B].
            step: its number.

        Returns:
            float32 [B, 5, 256].
        """
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        views = torch.randint(VIEWS, (len(rows),), generator=random)
        tokens = self.tokens[views.to(self.tokens.device), rows].float()
        noise = torch.randn(tokens.shape, generator=random).to(tokens.device)
        return tokens + NOISE * tokens.std(dim=-1, keepdim=True) * noise


@torch.no_grad()
def _all_tokens(
    encoder: Encoder,
    collator: Collator,
    count: int,
    seed: int,
    device: torch.device,
    on_progress: Callable[[int, int], None],
) -> np.ndarray:
    """Of every view and screen, float16 [VIEWS, count, 5, 256]."""
    found = []
    for view in range(VIEWS):
        for start in range(0, count, SCREENS_AT_ONCE):
            rows = np.arange(start, min(start + SCREENS_AT_ONCE, count))
            image = collator.images(rows).to(device)
            if view:
                random = torch.Generator().manual_seed((seed * VIEWS + view) * 1_000_003 + start)
                with torch.autocast(device.type, enabled=False):
                    image, _, _ = augment(image, collator.boxes[rows], random)
            found.append(encoder.encode_screen(image).float().cpu().numpy().astype(np.float16))
            on_progress(view * count + int(rows[-1]) + 1, VIEWS * count)
    tokens = np.concatenate(found)
    return tokens.reshape(VIEWS, count, *tokens.shape[1:])
