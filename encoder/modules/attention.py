"""Multi-head attention, as all slots compute it (Vaswani et al., 2017)."""

from __future__ import annotations

from torch import Tensor, nn


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Mixes values by the scaled products of queries and keys.

    Args:
        query: float32 [B, T, dim].
        key, value: float32 [B, N, dim].
        heads: divides dim.

    Returns:
        float32 [B, T, dim].
    """
    query, key, value = (
        rows.unflatten(-1, (heads, -1)).transpose(1, 2)  # [B, heads, T or N, dim / heads]
        for rows in (query, key, value)
    )
    scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5  # [B, heads, T, N]
    return (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)  # [B, T, dim]


class Attention(nn.Module):
    """Attention of some tokens to others, each side with its own projections.

    Args:
        dim: width of the tokens.
        heads: of the attention.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, tokens: Tensor, memory: Tensor) -> Tensor:
        """Maps float32 [B, T, dim], which attend to [B, N, dim], to [B, T, dim]."""
        return self.out(attend(self.query(tokens), self.key(memory), self.value(memory), self.heads))
