"""Turns FastViT's parallel branches into the one convolution that they sum to.

The towers are trained with branches side by side, an identity and smaller kernels among them, each with a
batch norm. All are linear, so that one convolution equals them; the model's authors give the sums, and timm
has them.
"""

from __future__ import annotations

from timm.utils import reparameterize_model

from encoder.model import Encoder
from encoder.modules.global_view import MobileClip


def reparameterize(encoder: Encoder) -> None:
    """Reparameterizes, in place, a global view with an image tower of its own."""
    if isinstance(encoder.global_view, MobileClip):
        encoder.global_view.tower = reparameterize_model(encoder.global_view.tower, inplace=True)
