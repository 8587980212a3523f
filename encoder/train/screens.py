"""Screens as training sees them: resized once, and in every step as other phones would show them.

Resized screens are an append-only file of pixels, in which an image is found again by its hash. Augmentation
is our own, since torchvision's transforms draw from the global generator, and once for a whole batch; here
each screen is changed by itself, and a step's changes follow from its own generator.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, pad

import runtime.images
import runtime.preprocess
from calibration_data.region_cells import region_boxes
from calibration_data.samples import Sample
from encoder.train import TrainError
from runtime.preprocess import load_image

BUILD = Path(os.environ.get("POCKET_CACHE") or Path(__file__).parents[2] / "build")
CACHE = BUILD / "train" / "cache"
_CHUNK = 64
_THREADS = 2

MAX_MOVE = 0.06
"""Largest shift, and change of scale, as a part of the screen."""
INVERTED, SWAPPED, GAMMA, NOISY, BLURRED, ERASED = 0.08, 0.15, 0.3, 0.25, 0.1, 0.3
"""Chance of each screen to get its colours inverted, its channels swapped, and so on."""
MAX_GAMMA, NOISE, MAX_ERASED = 1.5, 6.0, 0.3
NUDGE, JPEG_NOISE, LETTER = 2, 4.0, 0.05
"""Of what hardly changes a screen: pixels, their noise, and a box as a part of the screen."""
_GREY = (0.299, 0.587, 0.114)


class Screens:
    """The screens of a dataset: those to train on, and behind them those held out.

    Args:
        samples: by split, `train` and `validation`.
        size: height and width.
        folder: of caches.
        on_progress: called with what is being done, its parts done and parts to do.
        more: images about which nothing else is known.

    Attributes:
        samples: of both splits, the first `fitted` of them to train on.
        more: rows of `more`, int64; `images` takes them as it takes samples.
        boxes: float32 [N, 4, 5]: presence, then x, y, width and height as parts of the screen.
    """

    def __init__(
        self,
        samples: Mapping[str, Sequence[Sample]],
        size: tuple[int, int],
        folder: Path = CACHE,
        on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
        more: Sequence[Path] = (),
    ):
        self.samples, self.fitted = [*samples["train"], *samples["validation"]], len(samples["train"])
        self.size, self.folder, self.on_progress = size, folder, on_progress
        images = [*(sample.image for sample in self.samples), *more]
        told = partial(on_progress, "resizing screens")
        self._pixels, self._rows = resized_images(images, size, folder=folder, on_progress=told)
        self.more = np.arange(len(self.samples), len(images))
        self.boxes = torch.tensor([region_boxes(sample) for sample in self.samples])

    def images(self, rows: np.ndarray) -> Tensor:
        """Returns screens of samples, uint8 [len(rows), H, W, 3]."""
        return torch.from_numpy(self._pixels[self._rows[rows]])

    def held_out(self) -> np.ndarray:
        """Returns the rows of the samples that are held out, int64."""
        return np.arange(self.fitted, len(self.samples))


def resized_images(
    images: Sequence[Path],
    size: tuple[int, int],
    *,
    folder: Path = CACHE,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Resizes what was not resized before, and maps all of it into memory.

    An interrupted call loses at most the last few images; a folder that grew costs only its new images.

    Args:
        images: N image files.
        size: height and width.
        folder: of the caches; one pair of files for each size.
        on_progress: called with images done and images to do.

    Returns:
        The pixels, uint8 [M, H, W, 3], mapped from disk, and the row of each image, int64 [N].

    Raises:
        TrainError: an image cannot be read.
        OSError: the disk is full.
    """
    height, width = size
    name = f"{height}x{width}-{_code_digest()}"
    pixels, index = folder / f"{name}.u8", folder / f"{name}.index"
    with ThreadPoolExecutor(_THREADS) as pool, FileLock(folder / f"{name}.lock"):
        digests = list(pool.map(file_sha256, images))
        rows = _read_index(pixels, index, height * width * 3)
        new = {digest: path for digest, path in zip(digests, images, strict=True) if digest not in rows}
        for done in _append(list(new.items()), size, pixels, index, rows, pool):
            on_progress(done, len(new))
    stored = np.memmap(pixels, np.uint8, "r", shape=(len(rows), height, width, 3))
    return stored, np.array([rows[digest] for digest in digests], np.int64)


def _append(
    new: list[tuple[str, Path]],
    size: tuple[int, int],
    pixels: Path,
    index: Path,
    rows: dict[str, int],
    pool: ThreadPoolExecutor,
) -> Iterator[int]:
    """Writes pixels first and their names after: what has a name is whole."""
    with open(pixels, "ab") as pixel_file, open(index, "a", encoding="ascii") as index_file:
        for start in range(0, len(new), _CHUNK):
            chunk = new[start : start + _CHUNK]
            for array in pool.map(lambda item: _load(item[1], size), chunk):
                pixel_file.write(array.tobytes())
            pixel_file.flush()
            index_file.write("".join(f"{digest}\n" for digest, _ in chunk))
            index_file.flush()
            for digest, _ in chunk:
                rows[digest] = len(rows)
            yield start + len(chunk)


def _load(path: Path, size: tuple[int, int]) -> np.ndarray:
    try:
        return load_image(path, size)
    except ValueError as error:
        raise TrainError(str(error)) from error


def _read_index(pixels: Path, index: Path, record: int) -> dict[str, int]:
    """Rows by hash; cuts off what an interrupted run left half-written."""
    pixels.touch()
    index.touch()
    lines = index.read_text(encoding="ascii", errors="replace").split("\n")[:-1]
    whole = min(len(lines), pixels.stat().st_size // record)
    with open(pixels, "r+b") as file:
        file.truncate(whole * record)
    with open(index, "r+b") as file:
        file.truncate(sum(len(line) + 1 for line in lines[:whole]))
    return {digest: row for row, digest in enumerate(lines[:whole])}


def file_sha256(path: Path) -> str:
    """Returns a file's SHA-256 in hexadecimal digits.

    Raises:
        TrainError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise TrainError(f"{path}: cannot be read: {error.strerror}") from error


def _code_digest() -> str:
    """Pixels made by another preprocessing are other pixels."""
    code = [Path(module.__file__).read_bytes() for module in (runtime.images, runtime.preprocess)]
    return hashlib.sha256(b"".join(code)).hexdigest()[:12]


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


def nudge(image: Tensor, random: torch.Generator) -> Tensor:
    """Changes screens as little as two screenshots of one moment differ.

    Each is moved by up to two pixels, gets the noise of a JPEG file, and a letter somewhere else.

    Args:
        image: float32 [B, H, W, 3], 0 to 255.
        random: on the CPU; all choices come from it.

    Returns:
        float32 [B, H, W, 3] from 0 to 255.
    """
    count, height, width, _ = image.shape
    padded = pad(image.permute(0, 3, 1, 2), (NUDGE,) * 4, mode="replicate")
    places = torch.randint(2 * NUDGE + 1, (count, 2), generator=random).tolist()
    moved = torch.stack(
        [one[:, y : y + height, x : x + width] for one, (y, x) in zip(padded, places, strict=True)]
    )
    noise = torch.randn(moved.shape, generator=random) * torch.rand(count, 1, 1, 1, generator=random)
    moved = (moved + JPEG_NOISE * noise.to(moved.device)).clamp_(0, 255)
    _erase(moved, random, LETTER)
    return moved.permute(0, 2, 3, 1)


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


def _erase(pixels: Tensor, random: torch.Generator, largest: float = MAX_ERASED) -> None:
    """Covers a box of some screens with one colour, as a notification or a finger would."""
    _, _, height, width = pixels.shape
    for place in _chosen(len(pixels), ERASED, random).nonzero()[:, 0].tolist():
        x, y, w, h, *colour = torch.rand(7, generator=random).tolist()
        w, h = max(1, round(w * largest * width)), max(1, round(h * largest * height))
        left, top = round(x * (width - w)), round(y * (height - h))
        fill = torch.tensor(colour, device=pixels.device)[:, None, None] * 255
        pixels[place, :, top : top + h, left : left + w] = fill


def half_resolution(image: Tensor) -> Tensor:
    """Halves screens, [B, H, W, 3] of bytes or floats, to float32 [B, H / 2, W / 2, 3]."""
    return avg_pool2d(image.permute(0, 3, 1, 2).float(), 2).permute(0, 2, 3, 1)
