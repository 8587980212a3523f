"""Backbone: a timm model that turns the screenshot's bytes into one feature map."""

from __future__ import annotations

from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from encoder.config import ConfigError

BRANCH_GAIN = 0.1
ACTIVATION_GAIN = 0.3
NOISE_SIZE = (256, 128)


class Backbone(nn.Module):
    """Normalizes RGB bytes and returns a timm model's last feature map.

    Normalization is part of the model, with the mean and deviation that the timm model was published with,
    so that no caller can get it wrong.

    Args:
        name: a timm model that offers `features_only`.
        image_size: height and width in pixels.
        weights: safetensors file of the whole published timm model; None leaves the random initial weights.

    Raises:
        ConfigError: timm has no such model, it offers no feature maps, or it cannot take the image size.
    """

    def __init__(self, name: str, image_size: tuple[int, int], *, weights: Path | None = None):
        super().__init__()
        self.features = _create(name, weights)
        reduction = self.features.feature_info.reduction()[-1]
        self.channels: int = self.features.feature_info.channels()[-1]
        self.map_size = _map_size(name, image_size, reduction)
        scale, offset = _normalization(name)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("offset", offset, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Maps RGB bytes, uint8 [B, H, W, 3], to features, float32 [B, channels, h, w]."""
        pixels = image.permute(0, 3, 1, 2).float()  # [B, 3, H, W]
        return self.features(pixels * self.scale + self.offset)[-1]


def _create(name: str, weights: Path | None) -> nn.Module:
    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name.split('_')[0]}*")[:8]) or "see timm.list_models()"
        raise ConfigError(f"unknown backbone {name!r}; it must be a timm model, such as: {close}")
    source = {} if weights is None else {"pretrained": True, "pretrained_cfg_overlay": {"file": str(weights)}}
    try:
        features = timm.create_model(name, features_only=True, out_indices=(-1,), **source)
    except (RuntimeError, AttributeError, AssertionError, TypeError, IndexError) as error:
        raise ConfigError(f"backbone {name!r} gives no feature maps (features_only): {error}") from error
    if weights is None:
        _settle_random(features)
    return features


@torch.no_grad()
def _settle_random(features: nn.Module) -> None:
    """Makes a random backbone behave as a trained one does: alive in every branch, its activations near one.

    A branch that timm starts at zero would be folded away by a converter, and activations that shrink with
    depth drown in fp16 and INT8. So, as in data-dependent initialization (Mishkin & Matas, 2016), the norms
    take the statistics of noise screens; small gains keep the network from amplifying every rounding.
    """
    norms = [child for child in features.modules() if isinstance(child, nn.BatchNorm2d)]
    for norm in norms:
        ends_branch = not norm.weight.any()
        activated = not isinstance(getattr(norm, "act", None), (nn.Identity, type(None)))
        if ends_branch or activated:
            nn.init.constant_(norm.weight, BRANCH_GAIN if ends_branch else ACTIVATION_GAIN)
        norm.reset_running_stats()
        norm.momentum = None  # the plain average of what it sees
    # Blocks of colour, on dark screens and light ones.
    noise = torch.rand(16, 3, 16, 8) * torch.rand(16, 1, 1, 1)
    features.train()
    features(nn.functional.interpolate(noise, size=NOISE_SIZE))
    features.eval()
    for norm in norms:  # in steps that other CPUs' roundings do not cross
        norm.running_mean.copy_((norm.running_mean * 64).round() / 64)
        norm.running_var.copy_((norm.running_var * 64).round().clamp(min=1) / 64)
        norm.momentum = 0.1


def _map_size(name: str, image_size: tuple[int, int], reduction: int) -> tuple[int, int]:
    # MobileViT cuts its last map into patches of 2x2; other sizes would be resampled inside the model.
    multiple = reduction * 2 if name.startswith("mobilevit") else reduction
    if any(side < multiple or side % multiple or side > 2048 for side in image_size):
        height, width = image_size
        raise ConfigError(
            f"image_size {height}x{width} does not fit {name}: height and width must be multiples of "
            f"{multiple}, at most 2048"
        )
    return image_size[0] // reduction, image_size[1] // reduction


def _normalization(name: str) -> tuple[Tensor, Tensor]:
    config = timm.get_pretrained_cfg(name)
    mean = torch.tensor(config.mean if config else (0.5, 0.5, 0.5)).view(1, 3, 1, 1)
    std = torch.tensor(config.std if config else (0.5, 0.5, 0.5)).view(1, 3, 1, 1)
    return 1.0 / (255.0 * std), -mean / std
