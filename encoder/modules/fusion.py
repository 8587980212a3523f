"""Fusion: a learned query reads the screen, text and user tokens; its row is the embedding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoder.modules.attention import attend

CONTEXT_TOKENS = 7
"""Five screen tokens (global view and four regions), the text token and the user token."""


class SelfAttention(nn.Module):
    """Multi-head self-attention with one packed projection for queries, keys and values.

    Parameter names and shapes are those of `torch.nn.MultiheadAttention`.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps float32 [B, T, dim] to the same shape."""
        packed = F.linear(tokens, self.in_proj_weight, self.in_proj_bias)
        return self.out_proj(attend(*packed.chunk(3, dim=-1), self.heads))


class TransformerLayer(nn.Module):
    """The standard encoder layer of Vaswani et al. (2017): norms after the residuals, GELU in the middle.

    Loads the state of `torch.nn.TransformerEncoderLayer` and computes the same.
    """

    def __init__(self, dim: int, heads: int, ffn_dim: int):
        super().__init__()
        self.self_attn = SelfAttention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, ffn_dim)
        self.linear2 = nn.Linear(ffn_dim, dim)
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps float32 [B, T, dim] to the same shape."""
        tokens = self.norm1(tokens + self.self_attn(tokens))
        return self.norm2(tokens + self.linear2(F.gelu(self.linear1(tokens))))


class Fusion(nn.Module):
    """Transformer layers over a learned query and the context tokens.

    Every slot has a learned position: the regions share one projection, so that without it the layer could
    not tell a title from a keyboard.
    """

    def __init__(self, dim: int, *, layers: int, heads: int, ffn_dim: int):
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, dim) * dim**-0.5)
        self.positions = nn.Parameter(torch.randn(1, CONTEXT_TOKENS, dim) * dim**-0.5)
        self.layers = nn.Sequential(*(TransformerLayer(dim, heads, ffn_dim) for _ in range(layers)))

    def forward(self, screen_tokens: Tensor, text_token: Tensor, user_token: Tensor) -> Tensor:
        """Fuses float32 [B, 5, dim] and twice [B, 1, dim] to unit-length embeddings, float32 [B, dim]."""
        context = torch.cat([screen_tokens, text_token, user_token], dim=1) + self.positions  # [B, 7, dim]
        query = self.query.expand(context.shape[0], -1, -1)
        fused = self.layers(torch.cat([query, context], dim=1))  # [B, 8, dim]
        return F.normalize(fused[:, 0], dim=-1)


class CrossAttention(nn.Module):
    """A learned query attends once to the context tokens; no self-attention, no feed-forward part.

    Args:
        dim: width of the tokens.
        layers: one; more cannot be had.
        heads: of the attention.
        ffn_dim: not used; every fusion takes the same sizes.
    """

    def __init__(self, dim: int, *, layers: int, heads: int, ffn_dim: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(torch.randn(1, 1, dim) * dim**-0.5)
        self.positions = nn.Parameter(torch.randn(1, CONTEXT_TOKENS, dim) * dim**-0.5)
        self.context_norm = nn.LayerNorm(dim)  # tokens of different towers may differ much in scale
        self.to_query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out_proj = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, dim)

    def forward(self, screen_tokens: Tensor, text_token: Tensor, user_token: Tensor) -> Tensor:
        """Fuses float32 [B, 5, dim] and twice [B, 1, dim] to unit-length embeddings, float32 [B, dim]."""
        tokens = torch.cat([screen_tokens, text_token, user_token], dim=1)  # [B, 7, dim]
        context = self.context_norm(tokens) + self.positions
        mixed = attend(self.to_query(self.query), self.key(context), self.value(context), self.heads)
        fused = self.head(self.norm(self.query + self.out_proj(mixed)))  # [B, 1, dim]
        return F.normalize(fused[:, 0], dim=-1)


FUSIONS: dict[str, type[nn.Module]] = {
    "single_layer_transformer": Fusion,
    "two_layer_transformer": Fusion,
    "deep_transformer": Fusion,
    "cross_attention_only": CrossAttention,
}
"""The transformers differ in their number of layers, which `EncoderConfig.fusion_layers` holds."""
