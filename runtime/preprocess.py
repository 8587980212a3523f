"""From a screenshot of any size to the bytes that the model takes, in integers only.

The resize is an area average of the whole screenshot to (H, W), without keeping its aspect. For an image
of h x w pixels, each axis on its own (here rows; columns alike):

    in units of 1 / (h * H) of the height, source row p covers [p * H, (p + 1) * H)
    and output row i covers [i * h, (i + 1) * h)
    a(i, p) = length of what both cover: an integer; over p they add up to h

    S(i, j, c) = sum over p, q of a(i, p) * b(j, q) * pixel(p, q, c)        (b: the same for columns)
    out(i, j, c) = floor((2 * S + h * w) / (2 * h * w))                      (the mean, halves rounded up)

Every term is an integer and S <= 255 * h * w, so 64-bit integers hold it and the order of the sums does
not matter: any language gives the same bytes, for any size up or down.
"""

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

MAX_IMAGE_PIXELS = 64_000_000
_UINT32_ROWS = (2**32 - 1) // 510  # a column of so many pixels, and an edge, still add up in 32 bits


class ImageError(InputError):
    """The screenshot cannot be used."""


def load_image(image: Any, size: tuple[int, int]) -> np.ndarray:
    """Reads a screenshot and resizes it for the model.

    Files are turned as their EXIF orientation says. Palette, grey, 16-bit grey (its high byte) and CMYK
    images become RGB; transparent pixels are laid over black: floor((colour * alpha + 127) / 255).

    Args:
        image: A path, a PIL image, or a uint8 array [h, w, 3], RGB, of any size.
        size: (height, width) in pixels.

    Returns:
        uint8 [height, width, 3], RGB.

    Raises:
        ImageError: Not an image, empty, truncated, larger than MAX_IMAGE_PIXELS, or an array of another
            dtype or shape.
    """
    if isinstance(image, (str, os.PathLike)):
        return resize_screenshot(_read(Path(image)), size)
    if isinstance(image, np.ndarray):
        return resize_screenshot(image, size)
    if hasattr(image, "getbands"):
        _check_pixels(image.width, image.height, "the image")
        return resize_screenshot(_to_rgb(image, "the image"), size)
    raise ImageError(f"an image must be a path, a PIL image or a uint8 array, not {type(image).__name__}")


def resize_screenshot(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a screenshot by the exact area average that this module defines.

    Args:
        array: uint8 [h, w, 3].
        size: (height, width) in pixels.

    Returns:
        uint8 [height, width, 3].

    Raises:
        ImageError: Another dtype or shape, no pixels, or more than MAX_IMAGE_PIXELS.
    """
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        known = isinstance(array, np.ndarray)
        found = f"{array.dtype} {list(array.shape)}" if known else type(array).__name__
        raise ImageError(f"an image array must be uint8 [height, width, 3], RGB, not {found}")
    height, width = size
    source_height, source_width, _ = array.shape
    _check_pixels(source_width, source_height, "the image array")
    if (source_height, source_width) == (height, width):
        return array.copy()  # what the definition gives
    rows = _cell_sums(array.reshape(source_height, -1), height).reshape(height, source_width, 3)
    columns = np.ascontiguousarray(rows.transpose(1, 0, 2)).reshape(source_width, -1)  # [w, H * 3]
    sums = _cell_sums(columns, width).reshape(width, height, 3).transpose(1, 0, 2)  # [H, W, 3]
    area = source_height * source_width
    return ((2 * sums.astype(np.int64) + area) // (2 * area)).astype(np.uint8)


def _cell_sums(values: np.ndarray, cells: int) -> np.ndarray:
    """Sums [n, k] into [cells, k], weighted by how much of each row a cell covers.

    A cell's sum is the difference of two running sums: with i * n = q * cells + r, the running sum up to
    its edge is cells * (rows before q) + r * row q.
    """
    length = len(values)
    whole, part = np.divmod(np.arange(cells + 1, dtype=np.int64) * length, cells)
    dtype = np.uint32 if values.dtype == np.uint8 and length <= _UINT32_ROWS else np.int64
    sums = np.empty((cells, values.shape[1]), dtype)
    for cell in range(cells):  # ten times faster than reduceat
        np.add.reduce(values[whole[cell] : whole[cell + 1]], axis=0, dtype=dtype, out=sums[cell])
    sums *= dtype(cells)
    edges = values[np.minimum(whole, length - 1)].astype(dtype)
    edges *= part.astype(dtype)[:, None]
    sums += edges[1:]
    sums -= edges[:-1]
    return sums


def _check_pixels(width: int, height: int, where: str) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"{where}: has no pixels ({width}x{height})")
    if width * height > MAX_IMAGE_PIXELS:
        raise ImageError(
            f"{where}: {width}x{height} is {width * height / 1e6:.0f} megapixels, more than the "
            f"{MAX_IMAGE_PIXELS // 10**6} that are read; scale it down first"
        )


def _read(path: Path) -> np.ndarray:
    """Decodes an image file into uint8 [h, w, 3], upright."""
    from PIL import Image, ImageOps

    if not path.is_file():
        raise ImageError(f"{path}: no such image file")
    if path.stat().st_size == 0:
        raise ImageError(f"{path}: the image file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own, lower limit follows
            opened = Image.open(path)
    except Image.DecompressionBombError as error:
        limit = MAX_IMAGE_PIXELS // 10**6
        raise ImageError(
            f"{path}: has more than the {limit} megapixels that are read; scale it down first"
        ) from error
    except Image.UnidentifiedImageError:
        raise ImageError(f"{path}: not an image that Pillow can read; use PNG, JPEG or WebP") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror or error}") from error
    with opened:
        _check_pixels(opened.width, opened.height, str(path))
        try:
            upright = ImageOps.exif_transpose(opened)
        except Exception as error:  # decoders raise many kinds on damaged files
            raise ImageError(f"{path}: damaged or truncated image: {error}") from error
        return _to_rgb(upright, str(path))


def _to_rgb(image: "Image.Image", where: str) -> np.ndarray:
    """Converts any Pillow mode into uint8 [h, w, 3]."""
    if image.mode == "F":
        raise ImageError(f"{where}: floating-point pixels have no defined range; save it with 8 bits")
    try:
        if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion would clip it to white
            grey = np.clip(np.asarray(image) // 256, 0, 255).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        if not image.has_transparency_data:
            return np.asarray(image.convert("RGB"))
        rgba = np.asarray(image.convert("RGBA"))
    except Exception as error:  # decoders raise many kinds on damaged files
        raise ImageError(f"{where}: damaged or truncated image: {error}") from error
    alpha = rgba[:, :, 3:].astype(np.uint16)
    return ((rgba[:, :, :3] * alpha + 127) // 255).astype(np.uint8)
