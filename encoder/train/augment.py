"""Augmentation: screens as other phones would show them, with other colours, a shift of some pixels, noise.

Our own, since torchvision's transforms draw from the global generator, and once for a whole batch; here each
screen is changed by itself, and a step's changes follow from its own generator.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

MAX_MOVE = 0.06
"""Largest shift, and change of scale, as a part of the screen."""
INVERTED, SWAPPED, GAMMA, NOISY, BLURRED, ERASED = 0.08, 0.15, 0.3, 0.25, 0.1, 0.3
"""Chance of each screen to get its colours inverted, its channels swapped, and so on."""
MAX_GAMMA, NOISE, MAX_ERASED = 1.5, 6.0, 0.3
_GREY = (0.299, 0.587, 0.114)


def augment(image: Tensor, boxes: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Changes screens at random.

    Args:
        image: uint8 or float [B, H, W, 3], 0 to 255.
        boxes: float32 [B, 4, 5]: presence, x, y, width and height as parts of the screen.
        random: on the CPU; all choices come from it.

    Returns:
        float32 [B, H, W, 3] from 0 to 255; the boxes where the change has put them, cut at the screen's edge;
        bool [B], the screens whose light and dark were exchanged.
    """
    pixels = image.permute(0, 3, 1, 2).float()
    scale, shift = _moves(len(image), random)
    pixels = _move(pixels, scale, shift)
    inverted = _chosen(len(image), INVERTED, random)
    pixels = _recolour(pixels, inverted, random)
    pixels = _disturb(pixels, random)
    _erase(pixels, random)
    return pixels.permute(0, 2, 3, 1), _moved_boxes(boxes, scale, shift), inverted.to(image.device)


def _chosen(count: int, chance: float, random: torch.Generator) -> Tensor:
    return torch.rand(count, generator=random) < chance


def _uniform(shape: tuple[int, ...], limit: float, random: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=random) * 2 - 1) * limit


def _moves(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Scale and shift by axis, x first, float32 [B, 2]; a quarter of the screens stay where they are."""
    moved = _chosen(count, 0.75, random)[:, None]
    scale = 1 + _uniform((count, 2), MAX_MOVE, random) * moved
    return scale, _uniform((count, 2), MAX_MOVE, random) * moved


def _move(pixels: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Samples the screen at scale * position + shift, both from -1 to 1."""
    theta = torch.zeros(len(pixels), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = scale[:, 0], scale[:, 1]
    theta[:, :, 2] = shift
    grid = affine_grid(theta.to(pixels.device), list(pixels.shape), align_corners=False)
    return grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def _moved_boxes(boxes: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    scale, shift = scale[:, None].to(boxes.device), shift[:, None].to(boxes.device)
    first = boxes[..., 1:3] * 2 - 1
    last = (boxes[..., 1:3] + boxes[..., 3:5]) * 2 - 1
    first, last = ((((edge - shift) / scale + 1) / 2).clamp(0, 1) for edge in (first, last))
    present = boxes[..., :1] * ((last - first).amin(dim=-1, keepdim=True) > 0)
    return torch.cat([present, first * present, (last - first) * present], dim=-1)


def _recolour(pixels: Tensor, inverted: Tensor, random: torch.Generator) -> Tensor:
    """Hue, saturation, contrast, brightness, swaps and inversion are one matrix a screen; then gamma."""
    count = len(pixels)
    matrix = _hue(_uniform((count,), 0.35, random))
    grey = torch.tensor(_GREY).expand(3, 3)
    saturation = 1 + _uniform((count, 1, 1), 0.3, random)
    matrix = matrix * saturation + grey * (1 - saturation)
    for place in _chosen(count, SWAPPED, random).nonzero()[:, 0].tolist():
        matrix[place] = matrix[place][torch.randperm(3, generator=random)]
    gain = 1 + _uniform((count, 1, 1), 0.2, random)
    offset = 127.5 * (1 - gain[:, 0]) + _uniform((count, 1), 25.0, random)
    sign = torch.where(inverted, -1.0, 1.0)
    matrix = matrix * gain * sign[:, None, None]
    offset = torch.where(inverted[:, None], 255.0 - offset, offset)
    weight, bias = matrix.to(pixels.device), offset.to(pixels.device)[:, :, None].expand(-1, 3, 1)
    mixed = torch.baddbmm(bias, weight, pixels.flatten(2)).clamp_(0, 255).view(pixels.shape)
    exponents = torch.exp(_uniform((count,), math.log(MAX_GAMMA), random))
    for place in _chosen(count, GAMMA, random).nonzero()[:, 0].tolist():
        mixed[place] = (mixed[place] / 255).pow(float(exponents[place])) * 255
    return mixed


def _hue(angle: Tensor) -> Tensor:
    """Rotations about the grey axis, float32 [B, 3, 3]."""
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    third = torch.full((3, 3), 1 / 3)
    axis = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    return cosine * torch.eye(3) + (1 - cosine) * third + sine * axis


def _disturb(pixels: Tensor, random: torch.Generator) -> Tensor:
    """Noise or a slight blur, for some screens."""
    noisy = _chosen(len(pixels), NOISY, random).nonzero()[:, 0]
    blurred = _chosen(len(pixels), BLURRED, random).nonzero()[:, 0]
    noise = torch.randn((len(noisy), *pixels.shape[1:]), generator=random).to(pixels.device)
    noisy, blurred = noisy.to(pixels.device), blurred.to(pixels.device)
    pixels[blurred] = avg_pool2d(pixels[blurred], 3, stride=1, padding=1, count_include_pad=False)
    pixels[noisy] = (pixels[noisy] + NOISE * noise).clamp_(0, 255)
    return pixels


def _erase(pixels: Tensor, random: torch.Generator) -> None:
    """Covers a box of some screens with one colour, as a notification or a finger would."""
    _, _, height, width = pixels.shape
    for place in _chosen(len(pixels), ERASED, random).nonzero()[:, 0].tolist():
        x, y, w, h, *colour = torch.rand(7, generator=random).tolist()
        w, h = max(1, round(w * MAX_ERASED * width)), max(1, round(h * MAX_ERASED * height))
        left, top = round(x * (width - w)), round(y * (height - h))
        fill = torch.tensor(colour, device=pixels.device)[:, None, None] * 255
        pixels[place, :, top : top + h, left : left + w] = fill
