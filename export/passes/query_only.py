"""Computes the last fusion layer for the query's row alone, the only one that is read.

With one layer the query is a constant, so that its scores are one small linear map of the tokens, 256 to a
number a head, and the key projection disappears into it. (As a product with a constant left side, XNNPACK
would refuse it in fp16.) Measured on the A76 in the shipped file: `fuse` 0.647 -> 0.177 million instructions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoder.model import Encoder
from encoder.modules.fusion import CrossAttention, Fusion


class QueryOnly(nn.Module):
    """Fusion that equals a one-layer `Fusion`, from the same weights."""

    def __init__(self, fusion: Fusion):
        super().__init__()
        (layer,) = fusion.layers
        attention, dim = layer.self_attn, fusion.query.shape[-1]
        self.heads = attention.heads
        self.register_buffer("query", fusion.query.detach().clone())
        self.positions = fusion.positions
        query_weight, key_weight, value_weight = attention.in_proj_weight.detach().split(dim)
        query_bias, key_bias, value_bias = attention.in_proj_bias.detach().split(dim)
        query = F.linear(self.query[0], query_weight, query_bias)  # [1, dim]
        self.scores = constant_scores(query, key_weight, key_bias, self.heads)
        self.value = _linear(value_weight, value_bias)
        self.out_proj = attention.out_proj
        self.norm1, self.linear1, self.linear2, self.norm2 = (
            layer.norm1, layer.linear1, layer.linear2, layer.norm2
        )  # fmt: skip

    def forward(self, screen_tokens: Tensor, text_token: Tensor, user_token: Tensor) -> Tensor:
        """Maps float32 [B, 5, dim] and twice [B, 1, dim] to float32 [B, dim], unit length."""
        context = torch.cat([screen_tokens, text_token, user_token], dim=1) + self.positions  # [B, 7, dim]
        query = self.query.expand(context.shape[0], -1, -1)
        tokens = torch.cat([query, context], dim=1)  # [B, 8, dim]
        weights = self.scores(tokens).transpose(1, 2).softmax(dim=-1).unsqueeze(2)  # [B, heads, 1, 8]
        value = (
            self.value(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        )  # [B, heads, 8, dim / heads]
        mixed = (weights @ value).transpose(1, 2).flatten(2)  # [B, 1, dim]
        row = self.norm1(query + self.out_proj(mixed))
        row = self.norm2(row + self.linear2(F.gelu(self.linear1(row))))
        return F.normalize(row[:, 0], dim=-1)


class LastRow(nn.Module):
    """Fusion that equals a `Fusion` of several layers, from the same weights."""

    def __init__(self, fusion: Fusion):
        super().__init__()
        self.query, self.positions = fusion.query, fusion.positions
        *layers, last = fusion.layers
        self.layers = nn.Sequential(*layers)
        attention, dim = last.self_attn, fusion.query.shape[-1]
        self.heads = attention.heads
        weights = attention.in_proj_weight.detach().split(dim)
        biases = attention.in_proj_bias.detach().split(dim)
        self.to_query, self.key, self.value = map(_linear, weights, biases)
        self.out_proj, self.norm1, self.norm2 = attention.out_proj, last.norm1, last.norm2
        self.linear1, self.linear2 = last.linear1, last.linear2

    def forward(self, screen_tokens: Tensor, text_token: Tensor, user_token: Tensor) -> Tensor:
        """Maps float32 [B, 5, dim] and twice [B, 1, dim] to float32 [B, dim], unit length."""
        context = torch.cat([screen_tokens, text_token, user_token], dim=1) + self.positions  # [B, 7, dim]
        query = self.query.expand(context.shape[0], -1, -1)
        tokens = self.layers(torch.cat([query, context], dim=1))  # [B, 8, dim]
        row = tokens[:, :1]
        query, key, value = (
            rows.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, heads, 1 or 8, dim / heads]
            for rows in (self.to_query(row), self.key(tokens), self.value(tokens))
        )
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5  # [B, heads, 1, 8]
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)  # [B, 1, dim]
        row = self.norm1(row + self.out_proj(mixed))
        row = self.norm2(row + self.linear2(F.gelu(self.linear1(row))))
        return F.normalize(row[:, 0], dim=-1)


class ConstantQuery(nn.Module):
    """Fusion that equals `CrossAttention`, from the same weights."""

    def __init__(self, fusion: CrossAttention):
        super().__init__()
        self.heads = fusion.heads
        self.register_buffer("query", fusion.query.detach().clone())
        self.positions, self.context_norm = fusion.positions, fusion.context_norm
        query = fusion.to_query(self.query[0])  # [1, dim]
        self.scores = constant_scores(query, fusion.key.weight, fusion.key.bias, self.heads)
        self.value, self.out_proj = fusion.value, fusion.out_proj
        self.norm, self.head = fusion.norm, fusion.head

    def forward(self, screen_tokens: Tensor, text_token: Tensor, user_token: Tensor) -> Tensor:
        """Maps float32 [B, 5, dim] and twice [B, 1, dim] to float32 [B, dim], unit length."""
        tokens = torch.cat([screen_tokens, text_token, user_token], dim=1)  # [B, 7, dim]
        context = self.context_norm(tokens) + self.positions
        weights = self.scores(context).transpose(1, 2).softmax(dim=-1).unsqueeze(2)  # [B, heads, 1, 7]
        value = self.value(context).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        mixed = (weights @ value).transpose(1, 2).flatten(2)  # [B, 1, dim]
        fused = self.head(self.norm(self.query + self.out_proj(mixed)))
        return F.normalize(fused[:, 0], dim=-1)


def constant_scores(query: Tensor, key_weight: Tensor, key_bias: Tensor, heads: int) -> nn.Linear:
    """Returns the linear map from tokens to their scores with a constant query, [1, dim]: a number a head."""
    query = query * (query.shape[-1] // heads) ** -0.5
    by_head = torch.block_diag(*query.view(heads, 1, -1))  # [heads, dim]
    return _linear(by_head @ key_weight, by_head @ key_bias)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data, layer.bias.data = weight.clone(), bias.clone()
    return layer


def query_only(encoder: Encoder) -> None:
    """Replaces, in place, the fusion."""
    if isinstance(encoder.fusion, CrossAttention):
        encoder.fusion = ConstantQuery(encoder.fusion)
    elif isinstance(encoder.fusion, Fusion):
        only_one = len(encoder.fusion.layers) == 1
        encoder.fusion = (QueryOnly if only_one else LastRow)(encoder.fusion)
