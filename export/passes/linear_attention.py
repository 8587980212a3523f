"""Attention without a softmax, written as converters and fp16 bear it.

MobileViTv2: timm expands the context vector to the values' shape, which the converter cannot lower
(litert-torch 0.10: operands without broadcast-compatible shapes). Broadcasting computes the same.

EfficientViT divides by a sum that may be as small as its 1e-5, less than fp16 holds in full. With queries and
keys `SCALE` times as large both sides of the division are larger by the same power of two: the same quotient.
"""

from __future__ import annotations

from timm.models.efficientvit_mit import LiteMLA
from timm.models.mobilevit import LinearSelfAttention
from torch import Tensor, nn

from encoder.model import Encoder

SCALE = 8.0
"""Of queries and of keys. Products grow 64 times, far from what fp16 ends at."""


class ScaledRelu(nn.ReLU):
    """A kernel function of linear attention, larger by SCALE."""

    def forward(self, values: Tensor) -> Tensor:
        """Maps a tensor of any shape."""
        return super().forward(values) * SCALE


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
    """Rewrites, in place, the attention of MobileViTv2 and of EfficientViT."""
    for module in list(encoder.backbone.modules()):
        for name, child in module.named_children():
            if isinstance(child, LinearSelfAttention):
                setattr(module, name, BroadcastAttention(child))
            elif isinstance(child, LiteMLA) and isinstance(child.kernel_func, nn.ReLU):
                child.kernel_func, child.eps = ScaledRelu(), child.eps * SCALE**2
