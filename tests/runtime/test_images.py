"""Images as phones make them: profiles, formats, and damaged files that say one line."""

import io
import os
import random
import struct
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from runtime.preprocess import ImageError, load_image
from tests.runtime.icc_profiles import DISPLAY_P3, P3_XYZ, SRGB_XYZ, cmyk_profile, grey_profile, rgb_profile
from tests.runtime.test_preprocess import noise, saved

ROOT = Path(__file__).parents[2]
P3 = DISPLAY_P3.read_bytes()
SIZE = (40, 30)


def p3_to_srgb(array: np.ndarray) -> np.ndarray:
    """Display P3's colours in sRGB, by the standards' formulas; not rounded."""
    share = array / 255
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    light = np.clip(light @ np.array(P3_XYZ) @ np.linalg.inv(SRGB_XYZ), 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def rgba(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 4), dtype=np.uint8)


def over_black(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return ((colours.astype(int) * alpha[..., None] + 127) // 255).astype(np.uint8)


def test_display_p3_is_converted_in_files_and_images(tmp_path):
    assert rgb_profile(P3_XYZ) == P3
    array = noise(*SIZE)
    image = Image.fromarray(array)
    carrying = image.copy()
    carrying.info["icc_profile"] = P3
    found = load_image(carrying, SIZE)
    assert np.abs(found - p3_to_srgb(array)).max() <= 1
    lossless = {"png": {}, "tiff": {}, "webp": {"lossless": True}}
    for suffix, options in lossless.items():
        path = saved(tmp_path / f"a.{suffix}", image, icc_profile=P3, **options)
        assert np.array_equal(load_image(path, SIZE), found)
    plain = Image.new("RGB", (64, 64), (40, 180, 90))
    for suffix in ("jpg", "avif"):
        path = saved(tmp_path / f"a.{suffix}", plain, icc_profile=P3, quality=95)
        assert np.abs(load_image(path, (1, 1))[0, 0] - p3_to_srgb(np.array([40, 180, 90]))).max() < 4


def test_a_profile_is_applied_before_alpha_which_it_leaves_alone(tmp_path):
    array = rgba()
    path = saved(tmp_path / "a.png", Image.fromarray(array), icc_profile=P3)
    converted = np.round(p3_to_srgb(array[..., :3]))
    assert np.abs(load_image(path, SIZE).astype(int) - over_black(converted, array[..., 3])).max() <= 1
    indexed = Image.fromarray(array).convert("RGB").quantize(16)
    path = saved(tmp_path / "p.png", indexed, icc_profile=P3)
    assert np.abs(load_image(path, SIZE) - p3_to_srgb(np.asarray(indexed.convert("RGB")))).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_every_edition_of_srgb_changes_nothing(mode):
    array = np.stack(np.meshgrid(*[np.arange(0, 256, 15, np.uint8)] * 3), -1).reshape(72, 81, 3)
    image = Image.fromarray(array).convert(mode)
    plain = load_image(image, (72, 81))
    littlecms = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    older = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
    for edition in (littlecms, rgb_profile(SRGB_XYZ, version=2), rgb_profile(older)):
        carrying = image.copy()
        carrying.info["icc_profile"] = edition
        assert np.array_equal(load_image(carrying, (72, 81)), plain)
    image.info["icc_profile"] = rgb_profile(SRGB_XYZ, (2.2,))  # near, but the curve of another screen
    assert not np.array_equal(load_image(image, (72, 81)), plain)


def test_grey_and_cmyk_follow_their_own_profiles(tmp_path):
    ramp = np.arange(256, dtype=np.uint8)[None]
    light = (ramp / 255) ** 1.8
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    deep = Image.fromarray((ramp.astype(np.uint16) << 8) + 99)
    clear = Image.merge("LA", (Image.fromarray(ramp), Image.new("L", (256, 1), 100)))
    for name, image in (("g", Image.fromarray(ramp)), ("d", deep)):
        path = saved(tmp_path / f"{name}.png", image, icc_profile=grey_profile(1.8))
        assert np.abs(load_image(path, (1, 256)) - expected[..., None]).max() <= 2
    path = saved(tmp_path / "la.png", clear, icc_profile=grey_profile(1.8))
    assert np.abs(load_image(path, (1, 256)) - expected[..., None] * 100 / 255).max() <= 2
    for inks, level in (((255, 0, 0, 0), 255), ((0, 255, 0, 0), 0), ((0, 0, 0, 0), 255)):
        path = saved(tmp_path / "c.tiff", Image.new("CMYK", (4, 4), inks), icc_profile=cmyk_profile())
        assert np.abs(load_image(path, (1, 1)).astype(int) - level).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "I;16", "1", "P", "CMYK"])
def test_a_damaged_or_foreign_profile_is_left_aside(tmp_path, mode):
    ramp = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16
    image = (
        Image.fromarray(ramp.astype(np.uint16) * 256)
        if mode == "I;16"
        else Image.fromarray(ramp).convert(mode)
    )
    plain = load_image(image, (4, 4))
    foreign = {"L": P3, "LA": P3, "I;16": P3, "1": P3, "CMYK": P3}.get(mode, cmyk_profile())
    for icc in (b"", b"no profile", P3[:200], P3[:128] + bytes(300), os.urandom(500), foreign, "text", 7):
        carrying = image.copy()
        carrying.info["icc_profile"] = icc
        assert np.array_equal(load_image(carrying, (4, 4)), plain)
    suffix = "tiff" if mode == "CMYK" else "png"
    path = saved(tmp_path / f"a.{suffix}", image, icc_profile=b"no profile")
    assert np.array_equal(load_image(path, (4, 4)), plain)


def test_opaque_and_transparent_images_of_every_colour_and_alpha():
    colour, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    array = np.stack([colour, 255 - colour, colour // 2, alpha], -1)
    assert np.array_equal(load_image(Image.fromarray(array), (256, 256)), over_black(array[..., :3], alpha))
    array[..., 3] = 255
    assert np.array_equal(load_image(Image.fromarray(array), (256, 256)), array[..., :3])


@pytest.mark.parametrize(
    ("format_", "suffix"), [("GIF", "gif"), ("WEBP", "webp"), ("PNG", "png"), ("MPO", "jpg"), ("TIFF", "tif")]
)
def test_the_first_of_several_frames_is_read(tmp_path, format_, suffix):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ((200, 0, 0), (0, 200, 0))]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, format_, save_all=True, append_images=frames[1:])
    assert Image.open(path).n_frames == 2
    assert np.abs(load_image(path, (1, 1))[0, 0].astype(int) - (200, 0, 0)).max() <= 3


def test_other_formats_are_refused_unopened(tmp_path):
    image = Image.new("RGB", (8, 8))
    for format_ in ("EPS", "PPM", "SGI", "TGA", "ICO", "PCX", "JPEG2000"):
        path = tmp_path / "a.png"
        image.save(path, format_)
        with pytest.raises(
            ImageError, match=r"a\.png: .*other format than PNG, JPEG, WEBP, GIF, BMP, TIFF, AVIF"
        ):
            load_image(path, SIZE)


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"mif1"])
def test_heic_without_its_plugin_names_it(tmp_path, monkeypatch, brand):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as where it is not installed
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(b"\0\0\0\x1cftyp" + brand + b"\0\0\0\0mif1heic" + bytes(80))
    with pytest.raises(ImageError, match=r"IMG_0001\.HEIC: .*pip install pillow-heif"):
        load_image(path, SIZE)


def test_paths_that_the_system_refuses_are_one_line(tmp_path):
    for name in ("x" * 5000, "a\0b", tmp_path):
        with pytest.raises(ImageError, match=r"cannot be read|no such"):
            load_image(name, SIZE)


def seeds() -> list[bytes]:
    """A small file of every format and of many kinds."""
    array = np.add.outer(np.arange(24) * 5, np.arange(20) * 5)[..., None] + np.array([0, 40, 80, 90])
    whole = Image.fromarray(array.clip(0, 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x0131] = 6, "x" * 40
    kinds: list[tuple[str, str, dict]] = [
        ("RGBA", "PNG", {"icc_profile": P3, "exif": exif}), ("P", "PNG", {"transparency": bytes(range(100))}),
        ("L", "PNG", {"transparency": 20}), ("RGB", "JPEG", {"icc_profile": P3, "exif": exif}),
        ("CMYK", "JPEG", {"progressive": True}), ("RGBA", "WEBP", {"exif": exif}), ("RGB", "WEBP", {"lossless": True}),
        ("P", "GIF", {"transparency": 3}), ("RGB", "BMP", {}), ("P", "BMP", {}), ("RGB", "AVIF", {"exif": exif}),
        ("LAB", "TIFF", {}), ("RGBA", "TIFF", {"exif": exif}), ("1", "TIFF", {"compression": "group4"}),
        *(("RGB", "TIFF", {"compression": name}) for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")),
        *(("RGB", name, {"save_all": True, "append_images": [whole.convert("RGB")]}) for name in ("MPO", "GIF", "WEBP", "PNG")),
    ]  # fmt: skip
    files = []
    for mode, format_, options in kinds:
        file = io.BytesIO()
        image = whole.convert("RGB") if mode == "LAB" else whole
        image.convert(mode).save(file, format_, **options)
        files.append(file.getvalue())
    return files


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Bytes changed, taken out, put in and cut off, mostly near the start, where the structure is."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 12))):
        place = chance.randrange(min(len(changed), chance.choice((160, 10_000))))
        kind = chance.randrange(8)
        if kind < 5:
            changed[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif kind == 5:
            del changed[place : place + chance.randrange(1, 40)]
        elif kind == 6:
            changed[place:place] = chance.randbytes(chance.randrange(1, 20))
        changed = changed[: max(place, 20)] if kind == 7 else changed or bytearray(1)
    return bytes(changed)


def test_damaged_files_are_one_typed_line_or_a_clean_result(tmp_path, capfd):
    chance, ends = random.Random(20), {"read": 0, "refused": 0}
    files = seeds()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for number in range(400):
            path = tmp_path / f"damaged.{chance.choice(('png', 'jpg', 'bin'))}"
            path.write_bytes(mutated(files[number % len(files)], chance))
            try:
                assert load_image(path, SIZE).shape == (*SIZE, 3)
                ends["read"] += 1
            except ImageError as error:
                assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
                ends["refused"] += 1
    assert warned == [] and capfd.readouterr() == ("", "")
    assert min(ends.values()) > 50, ends


def test_a_process_prints_nothing_of_what_libraries_say(tmp_path):
    whole, paths = Image.fromarray(noise(60, 40)), []
    for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg"):  # libtiff writes to standard error itself
        path = saved(tmp_path / f"{name}.tif", whole, compression=name)
        data = bytearray(path.read_bytes())
        data[20:200] = bytes(byte ^ 0x55 for byte in data[20:200])
        path.write_bytes(data)
        paths.append(path)
    many = saved(tmp_path / "many.tif", whole)  # Pillow logs it
    samples = struct.pack("<HHI", 277, 3, 1)  # SamplesPerPixel, of 16 bits, one number: 3
    assert many.read_bytes().count(samples) == 1
    many.write_bytes(many.read_bytes().replace(samples + b"\3\0", samples + b"\3\x70"))
    program = """
import sys
from PIL import Image
from runtime.preprocess import ImageError, load_image
for path in sys.argv[1:]:
    for image in (path, path if "many" in path else Image.open(path)):
        try:
            load_image(image, (8, 4))
        except ImageError:
            print("refused")
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, *paths, many], cwd=ROOT, capture_output=True, text=True
    )
    assert (ended.stdout, ended.stderr) == ("refused\n" * 8, "")


def test_reading_in_many_threads_is_quiet_and_leaves_the_warning_filters(tmp_path):
    exif = Image.Exif()
    exif[0x0131] = "x" * 40
    path = saved(tmp_path / "a.jpg", Image.fromarray(noise(40, 30)), exif=exif)
    data = path.read_bytes()
    path.write_bytes(
        data.replace(b"\x01\x31\x00\x02", b"\x01\x31\x00\x05")
    )  # as rationals they end too early

    def read_exif() -> None:
        with Image.open(path) as image:
            image.getexif()

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        read_exif()
        assert {warning.category for warning in warned} == {UserWarning}  # what it is about
        warned.clear()
        before = list(warnings.filters)

        def read() -> None:
            for _ in range(20):
                load_image(path, SIZE)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert warned == [] and warnings.filters == before
        read_exif()
        assert warned, "other code's warnings are shown again"
