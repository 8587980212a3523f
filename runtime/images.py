"""From an image as a phone makes it to uint8 [h, w, 3], sRGB, without transparency.

Colours are converted to sRGB by the image's own ICC profile, before transparency is laid over black and
before the resize: by LittleCMS, with perceptual intent and no black point compensation. A profile is left
aside

- where it is damaged, or of another colour space than the pixels (grey, RGB or CMYK), and
- where it is sRGB: where it moves no colour of a grid of 17 x 17 x 17 (for grey, none of the 256 levels) by
  more than two levels. So every encoder's own edition of sRGB gives the bytes that no profile gives.
"""

import contextlib
import ctypes
import functools
import importlib
import io
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import InputError

if TYPE_CHECKING:
    from PIL import Image, ImageCms

MAX_IMAGE_PIXELS = 64_000_000
FORMATS = ("Png", "Jpeg", "WebP", "Gif", "Bmp", "Tiff", "Avif")
"""What is opened, by the names of Pillow's modules; Jpeg opens MPO too. Others may start programs."""
_GREY = ("1", "L", "LA", "La")
_SRGB_TOLERANCE = 2
_IGNORE_PILLOW = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
_lock = threading.Lock()
_readers = 0


class ImageError(InputError):
    """The screenshot cannot be used."""


def check_pixels(width: int, height: int, where: str) -> None:
    """Refuses sizes that are not read.

    Raises:
        ImageError: No pixels, or more than MAX_IMAGE_PIXELS.
    """
    if width < 1 or height < 1:
        raise ImageError(f"{where}: has no pixels ({width}x{height})")
    if width * height > MAX_IMAGE_PIXELS:
        raise ImageError(
            f"{where}: {width}x{height} is {width * height / 1e6:.0f} megapixels, more than the "
            f"{MAX_IMAGE_PIXELS // 10**6} that are read; scale it down first"
        )


def read_file(path: Path) -> np.ndarray:
    """Decodes an image file, its first frame, turned as its EXIF orientation says.

    Returns:
        uint8 [h, w, 3], sRGB.

    Raises:
        ImageError: Not a file, not an image, damaged, truncated or too large.
    """
    try:
        if not path.is_file():
            raise ImageError(f"{path}: no such image file")
        if path.stat().st_size == 0:
            raise ImageError(f"{path}: the image file is empty")
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror}") from error
    from PIL import ImageOps

    with _quiet(), _opened(path) as image:
        check_pixels(image.width, image.height, str(path))
        try:
            ImageOps.exif_transpose(image, in_place=True)
        except Exception as error:  # decoders raise many kinds on damaged files
            raise _damaged(str(path), error) from error
        return _to_srgb(image, str(path))


def read_image(image: "Image.Image") -> np.ndarray:
    """Converts a PIL image of any mode but F, by the same rules as a file but for the orientation.

    Returns:
        uint8 [h, w, 3], sRGB.

    Raises:
        ImageError: Floating point, damaged, empty or too large.
    """
    check_pixels(image.width, image.height, "the image")
    with _quiet():
        return _to_srgb(image, "the image")


def _damaged(where: str, error: Exception) -> ImageError:
    return ImageError(f"{where}: damaged or truncated image: {error or type(error).__name__}")


def _opened(path: Path) -> "Image.Image":
    from PIL import Image

    formats = []
    for name in FORMATS:
        with contextlib.suppress(ImportError):  # Avif: older editions of Pillow lack it
            importlib.import_module(f"PIL.{name}ImagePlugin")
            formats.append(name.upper())
    try:
        try:
            return Image.open(path, formats=formats)
        except Image.UnidentifiedImageError:
            if not _is_heif(path):
                raise
        _register_heif(path)
        return Image.open(path, formats=["HEIF"])
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        limit = MAX_IMAGE_PIXELS // 10**6
        raise ImageError(
            f"{path}: has more than the {limit} megapixels that are read; scale it down first"
        ) from error
    except Image.UnidentifiedImageError:
        known = ", ".join(name.upper() for name in FORMATS)
        raise ImageError(f"{path}: not an image, damaged, or of another format than {known}") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # decoders raise many kinds on damaged files
        raise _damaged(str(path), error) from error


def _is_heif(path: Path) -> bool:
    with open(path, "rb") as file:
        start = file.read(12)
    return start[4:8] == b"ftyp" and start[8:11] in (b"hei", b"hev", b"mif", b"msf")


def _register_heif(path: Path) -> None:
    try:
        import pillow_heif
    except ImportError:
        raise ImageError(
            f"{path}: HEIC needs pillow-heif: pip install pillow-heif, or save it as PNG"
        ) from None
    pillow_heif.register_heif_opener()


def _to_srgb(image: "Image.Image", where: str) -> np.ndarray:
    """Converts any Pillow mode into uint8 [h, w, 3]."""
    from PIL import Image

    if image.mode == "F":
        raise ImageError(f"{where}: floating-point pixels have no defined range; save it with 8 bits")
    try:
        profile, alpha = image.info.get("icc_profile"), None
        if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion would clip it to white
            image = Image.fromarray(np.clip(np.asarray(image) // 256, 0, 255).astype(np.uint8))
        mode = "L" if image.mode in _GREY else "CMYK" if image.mode == "CMYK" else "RGB"
        if image.has_transparency_data:
            image = image.convert("LA" if mode == "L" else "RGBA")
            alpha = image.getchannel("A")
            if alpha.getextrema()[0] == 255:
                alpha = None
        colours = _by_profile(image.convert(mode), profile) if profile else image
        if alpha is None:
            return np.asarray(colours.convert("RGB"))
        black = Image.new("RGB", image.size)
        black.paste(colours, mask=alpha)  # floor((colour * alpha + 127) / 255)
        return np.asarray(black)
    except Exception as error:  # decoders raise many kinds on damaged files
        raise _damaged(where, error) from error


def _by_profile(image: "Image.Image", profile: object) -> "Image.Image":
    """Converts colours of mode L, RGB or CMYK to sRGB, where there is something to convert."""
    transform = _transform(profile, image.mode) if isinstance(profile, bytes) else None
    return transform.apply(image) if transform else image


@functools.lru_cache(maxsize=4)  # building one takes some milliseconds
def _transform(profile: bytes, mode: str) -> "ImageCms.ImageCmsTransform | None":
    """The way from a profile to sRGB, or None where the profile is left aside."""
    from PIL import Image, ImageCms

    srgb = ImageCms.createProfile("sRGB")
    flags = ImageCms.Flags.NOCACHE  # nothing in it changes: threads may share it
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)), srgb, mode, "RGB", flags=flags
        )
    except (OSError, ImageCms.PyCMSError):  # damaged, or of other colours
        return None
    if mode == "CMYK":
        return transform
    levels = np.arange(256) if mode == "L" else np.linspace(0, 255, 17).round()
    axes = np.meshgrid(*[levels.astype(np.uint8)] * len(mode))
    grid = Image.fromarray(np.stack(axes, -1).reshape(1, -1, len(mode)).squeeze(-1 if mode == "L" else ()))
    moved = np.asarray(transform.apply(grid)).astype(int) - np.asarray(grid.convert("RGB"))
    return transform if np.abs(moved).max() > _SRGB_TOLERANCE else None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps away what Pillow and its libraries print about damaged files, in any number of threads.

    `warnings.catch_warnings` puts back a whole list, with what other threads did to it meanwhile; this puts
    in one entry, and takes out that one after the last reader.
    """
    global _readers
    _silence_libraries()
    with _lock:
        _readers += 1
        if _readers == 1:
            warnings.filters.insert(0, _IGNORE_PILLOW)
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if not _readers:
                with contextlib.suppress(ValueError):  # the caller's catch_warnings took it out
                    warnings.filters.remove(_IGNORE_PILLOW)


@functools.cache
def _silence_libraries() -> None:
    """Gives Pillow's log a handler, and turns off what its libtiff prints about errors, for the process.

    Pillow itself turns libtiff's warnings off; errors are raised all the same. Where libtiff is linked
    statically (Windows) it still prints.
    """
    from PIL import Image

    logging.getLogger("PIL").addHandler(logging.NullHandler())
    with contextlib.suppress(OSError, AttributeError):
        set_handler = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler  # found in what it is linked with
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        set_handler(None)
