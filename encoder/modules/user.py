"""User: the app's user vector as one token."""

from __future__ import annotations

from torch import Tensor, nn


class UserMlp(nn.Module):
    """Two linear layers with a GELU between.

    Args:
        embed_dim: length of the user vector.
        dim: width of the token.
    """

    def __init__(self, embed_dim: int, dim: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(embed_dim, dim), nn.GELU(), nn.Linear(dim, dim))

    def forward(self, user: Tensor) -> Tensor:
        """Maps user vectors, float32 [B, embed_dim], to a token, float32 [B, 1, dim]."""
        return self.layers(user).unsqueeze(1)
