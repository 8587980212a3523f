"""Campaigns of images: damaged files of every format, and PIL images of every mode."""

from __future__ import annotations

import functools
import io
import random
import warnings
from pathlib import Path

import numpy as np

from runtime.preprocess import ImageError, load_image
from tests.fuzz.damage import BAD_VALUES, damaged_bytes
from tests.fuzz.trials import refusals

SIZE = (256, 128)
FILE_FORMATS = (
    "PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "MPO", "PPM", "SGI", "XBM", "IM", "ICO", "EPS", "TGA",
)  # fmt: skip
TIFF_COMPRESSIONS = (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4")
MODES = (
    "1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "PA", "La", "RGBa", "RGBX", "I;16",
)  # fmt: skip


def image_file(chooser: random.Random, folder: Path) -> None:
    """A damaged image file, often under the name of another format."""
    kind = chooser.choice(FILE_FORMATS)
    path = folder / f"screen.{chooser.choice((kind.lower(), 'png', 'jpg'))}"
    path.write_bytes(damaged_bytes(_image_bytes(kind, chooser.randrange(8)), chooser))
    with refusals(ImageError):
        _check_pixels(load_image(path, SIZE))


@functools.cache
def _image_bytes(kind: str, number: int) -> bytes:
    from PIL import Image

    chooser = random.Random(f"{kind}/{number}")
    size = (chooser.randrange(1, 80), chooser.randrange(1, 80))
    pixels = np.frombuffer(chooser.randbytes(size[0] * size[1] * 4), np.uint8).reshape(size[1], size[0], 4)
    image, options = Image.fromarray(pixels, "RGBA"), {}
    if kind in ("JPEG", "MPO", "EPS", "PPM", "BMP"):
        image = image.convert("RGB")
    elif kind in ("XBM",):
        image = image.convert("1")
    elif kind == "TIFF":
        options["compression"] = TIFF_COMPRESSIONS[number % len(TIFF_COMPRESSIONS)]
        image = image.convert({"group4": "1", "jpeg": "RGB"}.get(options["compression"], "RGBA"))
    elif kind in ("SGI", "IM"):
        image = image.convert(chooser.choice(("L", "RGB")))
    exif = Image.Exif()
    exif[0x0112] = number
    if kind in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF"):
        options["exif"] = exif
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.save(data, kind, **options)
    return data.getvalue()


def pil_image(chooser: random.Random, folder: Path) -> None:
    """A PIL image of any mode and size, with profiles and transparency that do not fit it, or no image at all."""
    from PIL import Image

    size = chooser.choice(((0, 0), (1, 1), (1, 900), (900, 1), (37, 61), (128, 256)))
    image = Image.new(chooser.choice(MODES), size)
    if chooser.random() < 0.5:
        image.info["icc_profile"] = chooser.choice((b"", b"junk", chooser.randbytes(200), "text", None, 7))
    if chooser.random() < 0.3:
        image.info["transparency"] = chooser.choice((0, 255, 300, -1, b"\0\xff", (1, 2, 3), "x", None))
    given = chooser.choice(
        (image, image, image, np.asarray(chooser.choice(BAD_VALUES), dtype=object), *BAD_VALUES[:8])
    )
    with refusals(ImageError):
        _check_pixels(load_image(given, SIZE))


def _check_pixels(pixels: np.ndarray) -> None:
    assert pixels.dtype == np.uint8 and pixels.shape == (*SIZE, 3), f"{pixels.dtype} {pixels.shape}"
