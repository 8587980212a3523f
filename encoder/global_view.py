"""Global view: the whole screen as one token, from the backbone's map."""

from __future__ import annotations

from torch import Tensor, nn


class SimpleMlp(nn.Module):
    """Average pool, then Linear, LayerNorm and GELU.

    Args:
        channels: channels of the backbone's map.
        dim: width of the token.
    """

    def __init__(self, channels: int, dim: int):
        super().__init__()
        self.projection = nn.Linear(channels, dim)
        self.norm = nn.LayerNorm(dim)
        self.activation = nn.GELU()

    def forward(self, features: Tensor) -> Tensor:
        """Maps float32 [B, channels, h, w] to a token, float32 [B, 1, dim]."""
        pooled = features.mean(dim=(2, 3))  # [B, C]
        return self.activation(self.norm(self.projection(pooled))).unsqueeze(1)


GLOBAL_VIEWS: dict[str, type[nn.Module]] = {"simple_mlp": SimpleMlp}
