"""Multiplies MobileViTv2's values by its context vector as they are.

timm first expands the vector to the values' shape, which the converter cannot lower (litert-torch 0.10:
operands without broadcast-compatible shapes). Broadcasting computes the same.
"""

from __future__ import annotations

from timm.models.mobilevit import LinearSelfAttention
from torch import Tensor, nn

from encoder.model import Encoder


class BroadcastAttention(nn.Module):
    """Linear self-attention (Mehta and Rastegari, 2022) that equals timm's, from the same weights."""

    def __init__(self, attention: LinearSelfAttention):
        super().__init__()
        self.qkv_proj, self.out_proj = attention.qkv_proj, attention.out_proj
        self.dim = attention.embed_dim

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps float32 [B, C, P, N] to float32 [B, C, P, N]: P places in a patch, N patches."""
        query, key, value = self.qkv_proj(tokens).split([1, self.dim, self.dim], dim=1)
        context = (key * query.softmax(dim=-1)).sum(dim=-1, keepdim=True)  # [B, C, P, 1]
        return self.out_proj(value.relu() * context)


def linear_attention(encoder: Encoder) -> None:
    """Replaces, in place, the attention of MobileViTv2."""
    for module in list(encoder.backbone.modules()):
        for name, child in module.named_children():
            if isinstance(child, LinearSelfAttention):
                setattr(module, name, BroadcastAttention(child))
