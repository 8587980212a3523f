"""Backbone: a timm model that turns the screenshot's bytes into feature maps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from encoder.config import ConfigError
from encoder.options import TIMM, check_image_size, size_multiple, unknown_backbone
from encoder.tensors import read_tensors, refuse

BACKBONES: dict[str, str] = {"mobilevit_xxs": "mobilevit_xxs", "mobilenetv3_small": "mobilenetv3_small_100"}
"""Backbones with names of their own: the timm model of each. Any other is `timm/NAME`."""
BRANCH_GAIN = 0.1
ACTIVATION_GAIN = 0.3
NOISE_SIZE = (256, 128)


class Backbone(nn.Module):
    """Normalizes RGB bytes and returns feature maps of a timm model.

    Normalization is part of the model, with the mean and deviation that the timm model was published with,
    so that no caller can get it wrong.

    Args:
        name: one of BACKBONES, or `timm/NAME` for any timm model that offers `features_only`.
        image_size: height and width in pixels.
        strides: of the maps that are needed beside the deepest one, finest first.
        weights: safetensors file of the whole published timm model; None leaves the random initial weights.

    Raises:
        ConfigError: timm has no such model, it lacks a map that is needed, or it cannot take the image size.
    """

    def __init__(
        self,
        name: str,
        image_size: tuple[int, int],
        *,
        strides: tuple[int, ...] = (),
        weights: Path | None = None,
    ):
        super().__init__()
        self.features = _create(name, image_size, strides, weights)
        info = self.features.feature_info
        *_, reduction = info.reduction()
        self.channels: int = info.channels()[-1]
        self.image_size = image_size
        check_image_size(name, image_size, size_multiple(timm_name(name), reduction))
        self.map_size = (image_size[0] // reduction, image_size[1] // reduction)
        self.map_channels: tuple[int, ...] = tuple(info.channels())
        scale, offset = normalization(timm_name(name))
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("offset", offset, persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Maps RGB bytes, uint8 [B, H, W, 3], to features, float32 [B, C, h, w] each, finest first."""
        pixels = image.permute(0, 3, 1, 2).float()  # [B, 3, H, W]
        return tuple(self.features(pixels * self.scale + self.offset))


def timm_name(backbone: str) -> str:
    """Returns the name that timm knows a backbone by; a name without prefix may be timm's own."""
    return BACKBONES.get(backbone, backbone.removeprefix(TIMM))


def _create(
    name: str, image_size: tuple[int, int], strides: tuple[int, ...], weights: Path | None
) -> nn.Module:
    model = timm_name(name)
    needed = _needed(strides)
    if not timm.is_model(model):
        close = timm.list_models(f"*{model.split('_')[0]}*")
        raise unknown_backbone(name, tuple(BACKBONES), close, needed)
    try:
        chosen = _indices(name, strides) if strides else (-1,)
        features, options = _create_sized(model, chosen, image_size)
    except (RuntimeError, AttributeError, AssertionError, TypeError, IndexError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(
            f"backbone {name!r} gives no feature maps (timm's features_only: {reason}); needed: {needed}"
        ) from error
    if weights is not None:
        return _load_published(model, options, weights)
    mean, std = pixel_statistics(model)
    size = image_size if "img_size" in options else NOISE_SIZE
    data_dependent_init(features, lambda: features((_enlarged(noise_screens(), size) - mean) / std))
    return features


def _create_sized(
    model: str, chosen: tuple[int, ...], image_size: tuple[int, int]
) -> tuple[nn.Module, dict[str, object]]:
    """Creates a timm model for an image size, where it has one; returns it and what it was created with."""
    options: dict[str, object] = {"features_only": True, "out_indices": chosen}
    try:
        sized = options | {"img_size": image_size}
        features, options = timm.create_model(model, **sized), sized
    except TypeError as error:
        if "img_size" not in str(error):
            raise
        features = timm.create_model(model, **options)
    _check_forward(model, features, image_size)
    return features, options


@torch.no_grad()
def _check_forward(model: str, features: nn.Module, image_size: tuple[int, int]) -> None:
    """Refuses a model that computes nothing from images of a size: some are made for one, or for squares."""
    device = next(features.parameters()).device
    try:
        features.eval()(torch.zeros(1, 3, *image_size, device=device))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:100]
        raise ConfigError(
            f"backbone {model!r} takes no images of {image_size[0]}x{image_size[1]} ({reason}); set another "
            "image_size, or choose a convolutional backbone, which takes any multiple of its stride"
        ) from error
    features.train()


def _load_published(model: str, options: dict[str, object], weights: Path) -> nn.Module:
    """Creates a timm model with published weights; timm itself drops the classifier and maps earlier names.

    timm passes over tensors that a file lacks. So a file of NaNs is loaded first: what is then a number would
    have stayed random.

    Raises:
        WeightsError: the file is of another model.
    """

    def load(state: dict[str, Tensor]) -> nn.Module:
        overlay = {"state_dict": state}
        try:
            return timm.create_model(model, **options, pretrained=True, pretrained_cfg_overlay=overlay)
        except (RuntimeError, KeyError) as error:
            refuse([str(error).strip().splitlines()[-1].strip()], weights, f"backbone than {model}")

    state = read_tensors(weights)
    floats = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
    blank = load(state | {name: torch.full_like(tensor, torch.nan) for name, tensor in floats.items()})
    kept = {name: tensor for name, tensor in blank.state_dict().items() if tensor.is_floating_point()}
    absent = [f"{name} is missing" for name, tensor in kept.items() if not tensor.isnan().any()]
    refuse(absent, weights, f"backbone than {model}")
    return load(state)


def _needed(strides: tuple[int, ...]) -> str:
    listed = ", ".join(f"1/{stride}" for stride in strides)
    return f"feature maps at {listed} and deeper" if strides else "a feature map (features_only)"


def _indices(name: str, strides: tuple[int, ...]) -> tuple[int, ...]:
    """Places of the maps with these strides, and of the deepest, among all that a model gives."""
    with torch.random.fork_rng(devices=[]):  # this one is only looked at
        info = timm.create_model(timm_name(name), features_only=True).feature_info
    found = info.reduction()
    missing = [stride for stride in strides if stride not in found[:-1]]
    if missing:
        given = ", ".join(f"1/{stride}" for stride in found)
        raise ConfigError(f"backbone {name!r} gives feature maps at {given}; needed: {_needed(strides)}")
    return (*(found.index(stride) for stride in strides), len(found) - 1)


def noise_screens() -> Tensor:
    """Returns blocks of colour with signs on them, float32 [32, 3, 256, 128] in [0, 1]."""
    dim = torch.rand(16, 3, 16, 8) * torch.rand(16, 1, 1, 1)
    sheets = torch.where(torch.rand(16, 1, 16, 8) > 0.6, torch.rand(16, 3, 16, 8), torch.rand(16, 1, 1, 1))
    coarse, fine = _enlarged(torch.rand(32, 1, 128, 64) > 0.6), _enlarged(torch.rand(32, 1, 256, 128) > 0.6)
    signs = torch.where(_enlarged(torch.rand(32, 1, 16, 1) > 0.5) > 0, coarse, fine)
    written = signs * _enlarged(torch.rand(32, 1, 32, 4) > 0.6)
    ink = _enlarged(torch.rand(32, 1, 32, 4))
    return torch.where(written > 0, ink, _enlarged(torch.cat([dim, sheets])))


def _enlarged(noise: Tensor, size: tuple[int, int] = NOISE_SIZE) -> Tensor:
    return nn.functional.interpolate(noise.float(), size=size)


_initializes: ContextVar[bool] = ContextVar("initializes", default=True)


@contextlib.contextmanager
def without_init() -> Iterator[None]:
    """Within it `data_dependent_init` does nothing: for models whose weights are loaded next."""
    token = _initializes.set(False)
    try:
        yield
    finally:
        _initializes.reset(token)


@torch.no_grad()
def data_dependent_init(model: nn.Module, run: Callable[[], object]) -> None:
    """Makes a random model behave as a trained one does: alive in every branch, its activations near one.

    A branch that timm starts at zero would be folded away by a converter, and activations that shrink with
    depth drown in fp16 and INT8. So, as in data-dependent initialization (Mishkin & Matas, 2016), the norms
    take the statistics of noise screens; small gains keep the network from amplifying every rounding.

    Args:
        model: changed in place.
        run: runs it once on noise screens.
    """
    if not _initializes.get():
        return
    norms = [child for child in model.modules() if isinstance(child, nn.BatchNorm2d)]
    if any(norm.weight.is_meta for norm in norms):
        return  # a model without values, built to be counted
    for norm in norms:
        ends_branch = not norm.weight.any()
        activated = not isinstance(getattr(norm, "act", None), (nn.Identity, type(None)))
        if ends_branch or activated:
            nn.init.constant_(norm.weight, BRANCH_GAIN if ends_branch else ACTIVATION_GAIN)
        norm.reset_running_stats()
        norm.momentum = None  # the plain average of what it sees
    model.train()
    run()
    model.eval()
    for norm in norms:
        # A channel that noise hardly moves would be amplified beyond measure on screens.
        norm.running_var.clamp_(min=float(norm.running_var.mean()))
        # In steps that other CPUs' roundings do not cross.
        norm.running_mean.copy_((norm.running_mean * 64).round() / 64)
        norm.running_var.copy_((norm.running_var * 64).round().clamp(min=1) / 64)
        norm.momentum = 0.1


def normalization(model: str) -> tuple[Tensor, Tensor]:
    """Returns scale and offset, [1, 3, 1, 1] each, that turn bytes into the pixels a timm model expects."""
    mean, std = pixel_statistics(model)
    return 1.0 / (255.0 * std), -mean / std


def pixel_statistics(model: str) -> tuple[Tensor, Tensor]:
    """Returns mean and deviation, [1, 3, 1, 1] each, of the pixels in [0, 1] that a timm model expects."""
    config = timm.get_pretrained_cfg(model)
    mean = torch.tensor(config.mean if config else (0.5, 0.5, 0.5)).view(1, 3, 1, 1)
    std = torch.tensor(config.std if config else (0.5, 0.5, 0.5)).view(1, 3, 1, 1)
    return mean, std
