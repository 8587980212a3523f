"""What training computes once: resized screenshots, and the feature cache of a frozen vision part.

Resized screenshots are an append-only file of pixels, in which an image is found again by its hash.
"""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from timm.utils import reparameterize_model
from torch import Tensor

import runtime.images
import runtime.preprocess
from encoder.model import Encoder
from encoder.train import TrainError
from encoder.train.augment import augment
from encoder.train.batches import Collator
from runtime.files import write_atomically
from runtime.preprocess import load_image

BUILD = Path(os.environ.get("POCKET_CACHE") or Path(__file__).parents[2] / "build")
CACHE = BUILD / "train" / "cache"
_CHUNK = 64
_THREADS = 2

VIEWS = 3
"""Of each screen: as it is, and as other phones would show it."""
SCREENS_AT_ONCE = 64
NOISE = 0.15
"""Added to every number, as a part of its token's deviation: about what quantization does to a token."""
VISION = ("backbone.", "regions.", "global_view.")
"""Beginnings of the names of parameters that the tokens depend on."""


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
        digests = list(pool.map(_digest, images))
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


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise TrainError(f"{path}: cannot be read: {error.strerror}") from error


def _code_digest() -> str:
    """Pixels made by another preprocessing are other pixels."""
    code = [Path(module.__file__).read_bytes() for module in (runtime.images, runtime.preprocess)]
    return hashlib.sha256(b"".join(code)).hexdigest()[:12]


class FeatureCache:
    """Feature cache: screen tokens by sample and view, in half precision.

    Args:
        encoder: in evaluation mode, its screen's part exact.
        collator: knows the samples' pixels and boxes.
        count: samples, the collator's first.
        seed: of the views.
        folder: keeps the tokens for the next run of the same encoder on the same screens.
        device: where the encoder is.
        on_progress: called with screens done and screens in all.
    """

    def __init__(
        self,
        encoder: Encoder,
        collator: Collator,
        count: int,
        seed: int,
        folder: Path,
        device: torch.device,
        on_progress: Callable[[int, int], None],
    ):
        self.seed = seed
        digest = hashlib.sha256(repr((count, seed, VIEWS, SCREENS_AT_ONCE)).encode())
        for name, value in encoder.state_dict().items():
            if name.startswith(VISION):
                digest.update(value.cpu().numpy().tobytes())
        for start in range(0, count, SCREENS_AT_ONCE):
            digest.update(collator.images(np.arange(start, min(start + SCREENS_AT_ONCE, count))).numpy())
        kept = folder / f"features-{digest.hexdigest()[:16]}.npy"
        if not kept.is_file():
            found = _all_tokens(fused(encoder), collator, count, seed, device, on_progress)
            write_atomically(kept, lambda file: np.save(file, found))
        self.tokens = torch.from_numpy(np.load(kept)).to(device)

    def draw(self, rows: Tensor, step: int) -> Tensor:
        """Tokens of samples, each in a view drawn for this step, with a little noise.

        Args:
            rows: int64 [B].
            step: its number.

        Returns:
            float32 [B, 5, 256].
        """
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        views = torch.randint(VIEWS, (len(rows),), generator=random)
        tokens = self.tokens[views.to(self.tokens.device), rows].float()
        noise = torch.randn(tokens.shape, generator=random).to(tokens.device)
        return tokens + NOISE * tokens.std(dim=-1, keepdim=True) * noise


def fused(encoder: Encoder) -> Encoder:
    """Returns a copy that computes the same tokens faster: parallel branches as one convolution each."""
    return reparameterize_model(copy.deepcopy(encoder).eval(), inplace=True)


@torch.no_grad()
def _all_tokens(
    encoder: Encoder,
    collator: Collator,
    count: int,
    seed: int,
    device: torch.device,
    on_progress: Callable[[int, int], None],
) -> np.ndarray:
    """Of every view and screen, float16 [VIEWS, count, 5, 256]."""
    found = []
    for view in range(VIEWS):
        for start in range(0, count, SCREENS_AT_ONCE):
            rows = np.arange(start, min(start + SCREENS_AT_ONCE, count))
            image = collator.images(rows).to(device)
            if view:
                random = torch.Generator().manual_seed((seed * VIEWS + view) * 1_000_003 + start)
                with torch.autocast(device.type, enabled=False):
                    image, _, _ = augment(image, collator.boxes[rows], random)
            found.append(encoder.encode_screen(image).float().cpu().numpy().astype(np.float16))
            on_progress(view * count + int(rows[-1]) + 1, VIEWS * count)
    tokens = np.concatenate(found)
    return tokens.reshape(VIEWS, count, *tokens.shape[1:])
