"""Turns parallel branches into the one convolution that they sum to.

Some backbones are trained with branches side by side, an identity and smaller kernels among them, each with a
batch norm (RepVGG, Ding et al., 2021; MobileOne, FastViT, RepViT, RepGhost). All are linear, so that one
convolution equals them; the models' authors give the sums, and timm has them.
"""

from __future__ import annotations

from timm.utils import reparameterize_model

from encoder.model import Encoder
from encoder.modules.global_view import MobileClip


def reparameterize(encoder: Encoder) -> None:
    """Reparameterizes, in place, the backbone and a global view with an image tower of its own."""
    encoder.backbone.features = reparameterize_model(encoder.backbone.features, inplace=True)
    if isinstance(encoder.global_view, MobileClip):
        encoder.global_view.tower = reparameterize_model(encoder.global_view.tower, inplace=True)
