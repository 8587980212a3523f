"""Resizing against the definition in fractions, and every kind of image file."""

import hashlib
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from runtime.preprocess import ImageError, load_image, resize_screenshot

SIZE = (8, 4)
PHONE_SHA256 = "72bbce2ba90bb263b6417edaba88575b2afd64d4fdeb0fccceb4f5acc03cab49"


def by_definition(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The area average, pixel by pixel, in exact fractions."""
    height, width = size
    rows, columns, _ = array.shape
    result = np.zeros((height, width, 3), np.uint8)
    for i in range(height):
        for j in range(width):
            total = [Fraction(0)] * 3
            for p in range(rows):
                down = min(Fraction(p + 1), Fraction((i + 1) * rows, height)) - max(
                    p, Fraction(i * rows, height)
                )
                for q in range(columns):
                    over = min(Fraction(q + 1), Fraction((j + 1) * columns, width)) - max(
                        q, Fraction(j * columns, width)
                    )
                    if down > 0 and over > 0:
                        total = [t + down * over * int(v) for t, v in zip(total, array[p, q], strict=True)]
            area = Fraction(rows * columns, height * width)
            result[i, j] = [(t / area + Fraction(1, 2)).__floor__() for t in total]
    return result


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Random pixels."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


sides = st.integers(1, 9)


@settings(max_examples=60, deadline=None)
@given(sides, sides, sides, sides, st.integers(0, 1000))
def test_resize_is_the_exact_area_average(rows, columns, height, width, seed):
    array = noise(rows, columns, seed)
    assert np.array_equal(resize_screenshot(array, (height, width)), by_definition(array, (height, width)))


def test_resize_of_a_phone_screen_is_pinned():
    # pixel(row, column, channel) = (7 * row + 13 * column + 101 * channel + row * column) mod 256
    row, column, channel = np.ogrid[0:2340, 0:1080, 0:3]
    array = ((7 * row + 13 * column + 101 * channel + row * column) % 256).astype(np.uint8)
    result = resize_screenshot(array, (256, 128))
    assert hashlib.sha256(result.tobytes()).hexdigest() == PHONE_SHA256


def test_halves_are_rounded_up_and_the_mean_is_not_biased():
    array = np.array([[[0, 1, 254], [1, 2, 255]]], np.uint8)
    assert resize_screenshot(array, (1, 1)).tolist() == [[[1, 2, 255]]]
    assert resize_screenshot(np.full((7, 5, 3), 255, np.uint8), (3, 2)).min() == 255


def test_one_pixel_fills_the_whole_and_the_same_size_is_unchanged():
    assert np.unique(resize_screenshot(np.full((1, 1, 3), 77, np.uint8), (256, 128))).tolist() == [77]
    array = noise(256, 128)
    result = resize_screenshot(array, (256, 128))
    assert np.array_equal(result, array)
    assert not np.shares_memory(result, array)


def test_a_very_long_image_adds_up_exactly():
    array = np.full((40_000, 2, 3), 255, np.uint8)
    array[::2] = 0
    assert np.unique(resize_screenshot(array, (1, 1))).tolist() == [128]


def test_views_and_fortran_order_give_the_same_bytes():
    array = noise(40, 30)
    turned = np.asfortranarray(array)
    assert np.array_equal(resize_screenshot(turned, SIZE), resize_screenshot(array, SIZE))
    assert np.array_equal(
        resize_screenshot(array[::-1, ::2], SIZE), resize_screenshot(array[::-1, ::2].copy(), SIZE)
    )


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    """Saves an image and gives its path."""
    image.save(path, **options)
    return path


def test_a_path_an_image_and_an_array_are_the_same(tmp_path):
    array = noise(50, 30)
    path = saved(tmp_path / "a.png", Image.fromarray(array))
    expected = resize_screenshot(array, SIZE)
    for image in (path, str(path), Image.fromarray(array), array):
        assert np.array_equal(load_image(image, SIZE), expected)


@pytest.mark.parametrize("suffix", ["webp", "bmp", "tiff"])
def test_other_lossless_formats(tmp_path, suffix):
    array = noise(50, 30)
    path = saved(
        tmp_path / f"a.{suffix}", Image.fromarray(array), **({"lossless": True} if suffix == "webp" else {})
    )
    assert np.array_equal(load_image(path, SIZE), resize_screenshot(array, SIZE))


def test_exif_orientation_is_followed(tmp_path):
    array = noise(16, 8)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it 90 degrees clockwise
    path = saved(tmp_path / "a.png", Image.fromarray(array), exif=exif)
    assert np.array_equal(load_image(path, (8, 16)), np.rot90(array, -1))


def test_transparency_is_laid_over_black(tmp_path):
    rgba = np.array([[[255, 100, 3, 128], [200, 10, 1, 0]], [[9, 8, 7, 255], [255, 255, 255, 1]]], np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(rgba, "RGBA"))
    expected = (rgba[..., :3].astype(int) * rgba[..., 3:] + 127) // 255
    assert np.array_equal(load_image(path, (2, 2)), expected)


def test_grey_palette_bilevel_and_16_bit(tmp_path):
    grey = noise(6, 4)[:, :, 0]
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    deep = (grey.astype(np.uint16) << 8) + 200
    palette = Image.fromarray(expected).convert("P", palette=Image.Palette.ADAPTIVE)
    assert np.array_equal(load_image(saved(tmp_path / "g.png", Image.fromarray(grey)), (6, 4)), expected)
    assert np.array_equal(load_image(saved(tmp_path / "d.png", Image.fromarray(deep)), (6, 4)), expected)
    assert np.array_equal(load_image(saved(tmp_path / "p.png", palette), (6, 4)), expected)
    bilevel = Image.fromarray(grey > 127)
    assert np.unique(load_image(saved(tmp_path / "b.png", bilevel), (6, 4))).tolist() == [0, 255]


def test_a_palette_with_a_transparent_colour(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    assert not load_image(saved(tmp_path / "t.png", image, transparency=1), (4, 4)).any()


def test_cmyk_becomes_rgb(tmp_path):
    path = saved(tmp_path / "c.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)))
    red, green, blue = load_image(path, (1, 1))[0, 0]
    assert red > 200 and green < 60 and blue < 60


def png_header(width: int, height: int) -> bytes:
    """A valid PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("width", "height"), [(10_000, 10_000), (64_001, 1_000), (20_000, 20_000)])
def test_too_many_megapixels_are_refused_from_the_header(tmp_path, width, height):
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(width, height))
    with pytest.raises(ImageError, match=r"huge\.png: .*megapixels.*scale it down"):
        load_image(path, SIZE)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.95])
def test_a_truncated_file_is_refused(tmp_path, suffix, kept):
    path = saved(tmp_path / f"cut.{suffix}", Image.fromarray(noise(300, 200)))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ImageError, match="cut"):
        load_image(path, SIZE)


def test_no_file_no_image_no_bytes(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image")
    for name, message in (
        ("none.png", "no such"),
        ("empty.png", "empty"),
        ("text.png", "not an image"),
        ("", "no such"),
    ):
        with pytest.raises(ImageError, match=message):
            load_image(tmp_path / name, SIZE)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), r"uint8 \[height, width, 3\], RGB, not float32 \[4, 4, 3\]"),
        (np.zeros((4, 4, 4), np.uint8), "uint8"),
        (np.zeros((4, 4), np.uint8), "uint8"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.broadcast_to(np.uint8(0), (10_000, 10_000, 3)), "100 megapixels"),
        (Image.new("1", (10_000, 10_000)), "100 megapixels"),
        (Image.new("F", (4, 4)), "floating-point"),
        (None, "NoneType"),
        (b"bytes", "bytes"),
    ],
)
def test_other_things_than_screenshots_are_refused(image, message):
    with pytest.raises(ImageError, match=message):
        load_image(image, SIZE)
