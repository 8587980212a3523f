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
from pathlib import Path
from typing import Any

import numpy as np

from .images import ImageError, check_pixels, read_file, read_image

_UINT32_ROWS = (2**32 - 1) // 510  # a column of so many pixels, and an edge, still add up in 32 bits


def load_image(image: Any, size: tuple[int, int]) -> np.ndarray:
    """Reads a screenshot and resizes it for the model.

    Files are turned as their EXIF orientation says; of several frames the first is read. Palette, grey,
    16-bit grey (its high byte) and CMYK images become RGB. An embedded ICC profile is converted to sRGB (how:
    `images`). Transparent pixels are laid over black: floor((colour * alpha + 127) / 255).

    Args:
        image: A path (PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, MPO; HEIC where pillow-heif is installed), a PIL
            image, or a uint8 array [h, w, 3], sRGB, of any size.
        size: (height, width) in pixels.

    Returns:
        uint8 [height, width, 3], RGB.

    Raises:
        ImageError: Not an image, empty, truncated, larger than MAX_IMAGE_PIXELS, or an array of another
            dtype or shape.
    """
    if isinstance(image, (str, os.PathLike)):
        return resize_screenshot(read_file(Path(image)), size)
    if isinstance(image, np.ndarray):
        return resize_screenshot(image, size)
    if hasattr(image, "getbands"):
        return resize_screenshot(read_image(image), size)
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
    check_pixels(source_width, source_height, "the image array")
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
