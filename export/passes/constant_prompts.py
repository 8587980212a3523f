"""Computes once what the mask decoder's prompts and positions are before any screen is seen.

The learned prompts are constants, so that their scores with the map are one linear layer of the map, and the
key projection disappears into it. (As a product with a constant left side, XNNPACK would refuse it in fp16.)
The positions of a map of known size are a table.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoder.model import Encoder
from encoder.modules.mask_decoder import STRIDES, MaskDecoder, Positions, PromptLayer
from export.passes.query_only import constant_scores


class FixedPositions(nn.Module):
    """What is left of `Positions` for one size of map."""

    def __init__(self, positions: Positions, size: tuple[int, int]):
        super().__init__()
        self.register_buffer("places", positions.table(size))  # [1, C, h, w]

    def forward(self, features: Tensor) -> Tensor:
        """Maps float32 [B, C, h, w] to the same shape."""
        return features + self.places


class FirstLayer(nn.Module):
    """Prompt layer that equals `PromptLayer` for the learned prompts, from the same weights."""

    def __init__(self, layer: PromptLayer, prompts: Tensor):
        super().__init__()
        cross = layer.cross
        self.heads, self.count = cross.heads, prompts.shape[1]
        self.register_buffer("prompts", prompts.detach().clone())
        queries = cross.query(prompts[0])  # [4, dim]
        parts = [constant_scores(row[None], cross.key.weight, cross.key.bias, self.heads) for row in queries]
        self.scores = nn.Linear(queries.shape[1], self.count * self.heads)
        self.scores.weight = nn.Parameter(torch.cat([part.weight for part in parts]))
        self.scores.bias = nn.Parameter(torch.cat([part.bias for part in parts]))
        self.value, self.out = cross.value, cross.out
        self.norm1, self.norm2 = layer.norm1, layer.norm2
        self.linear1, self.linear2 = layer.linear1, layer.linear2

    def forward(self, prompts: Tensor, memory: Tensor) -> Tensor:
        """Maps the learned prompts, which it knows, and float32 [B, N, dim] to float32 [B, 4, dim]."""
        scores = self.scores(memory).transpose(1, 2)  # [B, 4 * heads, N]
        weights = scores.softmax(dim=-1).unflatten(1, (self.count, self.heads)).transpose(1, 2)
        value = self.value(memory).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, heads, N, d]
        found = self.norm1(self.prompts + self.out((weights @ value).transpose(1, 2).flatten(2)))
        return self.norm2(found + self.linear2(F.relu(self.linear1(found))))


def constant_prompts(encoder: Encoder) -> None:
    """Changes, in place, a mask decoder."""
    decoder = getattr(encoder.regions, "decoder", None)
    if isinstance(decoder, MaskDecoder):
        height, width = encoder.mask_size
        steps = 2 * STRIDES[-1] // STRIDES[0]  # from the masks' map to the deepest
        decoder.pixels.positions = FixedPositions(decoder.pixels.positions, (height, width))
        decoder.positions = FixedPositions(decoder.positions, (height // steps, width // steps))
        decoder.first = FirstLayer(decoder.first, decoder.prompts)
