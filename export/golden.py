"""Golden vectors: the parity screens' inputs and what PyTorch makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from encoder.model import Encoder
from export.convert.wrappers import vision
from runtime.bundle import REGION_MASKS

BATCH = 8


@torch.no_grad()
def run_encoder(encoder: Encoder, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Runs the untouched encoder eagerly.

    Args:
        encoder: in evaluation mode.
        inputs: `image`, `input_ids`, `attention_mask` and `user` of N samples.

    Returns:
        `screen_tokens` [N, 5, 256], `text_token` [N, 1, 256] and `embedding` [N, 256], float32; with
        `region_masks` [N, 4, h, w] where the encoder has them.
    """
    parts: dict[str, list[np.ndarray]] = {"screen_tokens": [], "text_token": [], "embedding": []}
    if encoder.mask_size is not None:
        parts[REGION_MASKS] = []
    for start in range(0, len(inputs["image"]), BATCH):
        image, input_ids, mask, user = (
            torch.from_numpy(inputs[name][start : start + BATCH])
            for name in ("image", "input_ids", "attention_mask", "user")
        )
        known = vision(encoder)(image)
        known["text_token"] = encoder.encode_text(input_ids, mask)
        known["embedding"] = encoder.fuse(known["screen_tokens"], known["text_token"], user)
        for name, values in parts.items():
            values.append(known[name].numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}


def write_golden(encoder: Encoder, inputs: dict[str, np.ndarray], path: Path) -> None:
    """Writes inputs and outputs, arrays named as the public tensors."""
    np.savez(path, **inputs, **run_encoder(encoder, inputs))
