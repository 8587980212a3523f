"""What the tests on the JVM get: the app's assets, and inputs with what the Python runtime makes of them."""

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from android_demo.check import ROOT, AndroidError, texts
from android_demo.check.work import ASSETS, FIXTURES, digest, write_lines
from runtime.bundle import REGION_MASKS, Bundle, select_files
from runtime.files import make_once
from runtime.manifest import MANIFEST
from runtime.parity import GOLDEN, measure
from runtime.preprocess import load_image
from runtime.session import RegionsError, ScreenEncoder
from runtime.tokenizers import FILES
from runtime.user import bound_norm

CALIBRATION = ROOT / "calibration_data"
SHOWN = ("mail-0011", "feed-0012", "chat-0013", "shop-0013")  # light, dark, right to left, nobody types
SEED = 9
FLOAT32_MAX = float(np.finfo(np.float32).max)
_SIZES = [  # height, width
    (1, 1), (1, 7), (7, 1), (2, 3), (97, 61), (128, 256), (255, 127), (256, 128), (257, 129), (512, 256),
    (640, 360), (1, 5000), (5000, 1), (1080, 2400), (2400, 1080), (2560, 1600), (3000, 4000),
]  # fmt: skip
_ALPHA_SIZES = [(1, 1), (40, 30), (255, 127), (1200, 540)]
DISPLAY_P3 = ROOT / "tests" / "data" / "display_p3.icc"


def open_bundle(folder: Path) -> Bundle:
    """Reads a bundle that an app can ship.

    Raises:
        BundleError: Not a bundle, one with a missing or altered file, without an INT8 .tflite or without the
            limits that the app checks itself against.
    """
    bundle = Bundle.load(folder)
    bundle.require("preset", "limits.parity", "limits.latency_ms", "limits.memory_bytes")
    for name in (*select_files(bundle.files, "tflite", "int8").values(), GOLDEN):
        bundle.file(name)
    return bundle


def make_assets(bundle: Bundle) -> None:
    """Lays the bundle's files and the sample screens out as the app's assets.

    Raises:
        AndroidError: The bundle takes user vectors of another length than the sample screens have.
    """
    samples = [sample for sample in _samples() if sample["id"] in SHOWN]
    _, user_length = bundle.tensors["user"].shape
    if any(len(sample["user"]) != user_length for sample in samples):
        raise AndroidError(
            f"{bundle.path}: takes user vectors of {user_length} numbers, the app's sample screens have 64"
        )
    model = select_files(bundle.files, "tflite", "int8")["vision"]
    files = [bundle.path / MANIFEST, *_tokenizer_files(bundle), bundle.path / model, bundle.path / GOLDEN]
    screens = [CALIBRATION / sample["image"] for sample in samples]

    def make(folder: Path) -> None:
        preset = folder / bundle.manifest["preset"]
        preset.mkdir()
        for file in files:
            shutil.copyfile(file, preset / file.name)
        (folder / "screens").mkdir()
        for screen in screens:
            shutil.copyfile(screen, folder / "screens" / screen.name)
        kept = ("id", "image", "kind", "text", "user")
        shown = sorted(samples, key=lambda sample: SHOWN.index(sample["id"]))
        demo = {"preset": preset.name, "samples": [{key: sample[key] for key in kept} for sample in shown]}
        (folder / "demo.json").write_text(json.dumps(demo))

    make_once(ASSETS, digest([*files, *screens, Path(__file__)]), make)


def make_fixtures(bundle: Bundle) -> None:
    """Writes inputs for the tests on the JVM, and the Python runtime's answers beside them."""
    sources = [ROOT / "runtime", DISPLAY_P3, CALIBRATION / "samples.jsonl", *texts.sources(), Path(__file__)]
    key = digest([*sources, bundle.path / MANIFEST])

    def make(folder: Path) -> None:
        parity = [sample for sample in _samples() if sample["split"] == "parity"]
        write_lines(folder / "images.jsonl", _images(folder, parity, bundle.image_size))
        write_lines(folder / "profiles.jsonl", _profiles(folder, bundle.image_size))
        texts.write(folder / "tokenizers")
        texts.write_byte_bpe_bundle(bundle, folder / "byte_bpe_bundle", [sample["text"] for sample in parity])
        write_lines(folder / "embeddings.jsonl", _embeddings(bundle, parity))
        write_lines(folder / "users.jsonl", _users(bundle))
        write_lines(folder / "regions.jsonl", _regions(bundle, parity))
        rows = measure(bundle, ["tflite"], ["int8"])
        (folder / "parity.json").write_text(json.dumps([asdict(row) for row in rows]))

    make_once(FIXTURES, key, make)


def _tokenizer_files(bundle: Bundle) -> list[Path]:
    entry = bundle.manifest["tokenizer"]
    return [bundle.file(entry[key]) for key in FILES[entry["type"]]]


def _samples() -> list[dict]:
    return [
        json.loads(line) for line in (CALIBRATION / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    ]


def _images(folder: Path, parity: list[dict], size: tuple[int, int]) -> Iterator[dict]:
    """Every parity screen, and pictures of odd sizes and with transparency."""
    (folder / "images").mkdir()
    files = [(CALIBRATION / sample["image"], "parity") for sample in parity]
    for height, width in _SIZES:
        files.append((_picture(folder / "images" / f"size_{height}x{width}.png", height, width, 3), "size"))
    for height, width in _ALPHA_SIZES:
        files.append((_picture(folder / "images" / f"alpha_{height}x{width}.png", height, width, 4), "alpha"))
    for path, group in files:
        pixels = load_image(path, size)
        # Paths are told from the final folder, which this one is renamed to.
        final = FIXTURES / path.relative_to(folder) if path.is_relative_to(folder) else path
        yield {"image": str(final), "group": group, "sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}


def _profiles(folder: Path, size: tuple[int, int]) -> Iterator[dict]:
    """Pictures in files with ICC profiles, and their pixels themselves: two decoders round differently."""
    (folder / "profiles").mkdir()
    p3 = DISPLAY_P3.read_bytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    cases = {
        "p3.png": (3, p3), "p3_alpha.png": (4, p3), "p3.webp": (3, p3), "p3.jpg": (3, p3),
        "srgb.png": (3, srgb), "grey_p3.png": (1, p3), "damaged.png": (3, b"no profile"),
        "cut.png": (3, p3[:200]),
    }  # fmt: skip
    for name, (channels, profile) in cases.items():
        path = _picture(folder / "profiles" / name, 600, 300, channels, icc_profile=profile)
        pixels = base64.b64encode(load_image(path, size).tobytes()).decode()
        yield {"image": str(FIXTURES / path.relative_to(folder)), "pixels": pixels}


def _picture(path: Path, height: int, width: int, channels: int, **options: bytes) -> Path:
    """A picture of gradients and hard edges, which compresses; with an alpha of every value."""
    random = np.random.default_rng(SEED)
    row, column, channel = np.ogrid[0:height, 0:width, 0:channels]
    slopes = random.integers(1, 40, (1, 1, channels))
    array = (slopes * (row // 3) + (41 - slopes) * column + 85 * channel + (row * column // 64) % 251) % 256
    if path.suffix != ".jpg":
        options |= {"compress_level": 1, "lossless": True}
    pixels = array.astype(np.uint8)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path, **options)
    return path


def _embeddings(bundle: Bundle, parity: list[dict]) -> Iterator[dict]:
    """Every parity sample as an app encodes it, from its file; and how its neighbours' texts rank on it."""
    encoder = ScreenEncoder.load(bundle.path)
    candidates = [sample["text"] for sample in parity if sample["text"]]
    for sample in parity:
        path = CALIBRATION / sample["image"]
        embedding = encoder.encode(path, sample["text"], sample["user"])
        ranked = encoder.rank(None, sample["text"], candidates, sample["user"])
        yield {
            "id": sample["id"], "image": str(path), "text": sample["text"], "user": sample["user"],
            "embedding": embedding.tolist(), "candidates": candidates,
            "ranked": [list(entry) for entry in ranked],
        }  # fmt: skip


def _users(bundle: Bundle) -> Iterator[dict]:
    """User vectors of every scale, some of few numbers, and the bits of what the model gets of each."""
    random = np.random.default_rng(SEED)
    _, length = bundle.tensors["user"].shape
    for scale in 10.0 ** np.linspace(-45, 38, 167):
        user = np.clip(scale * random.uniform(-3.4, 3.4, length), -FLOAT32_MAX, FLOAT32_MAX)
        user = (user * (random.random(length) < random.choice([1, 0.3]))).astype(np.float32)
        bits = bound_norm(user, bundle.max_user_norm).view(np.int32)
        yield {"user": user.tolist(), "bits": bits.tolist()}


def _regions(bundle: Bundle, parity: list[dict]) -> Iterator[dict]:
    """The masks of every parity screen, flat; or one line that says why the runtime gives none."""
    encoder = ScreenEncoder.load(bundle.path)
    for sample in parity:
        path = CALIBRATION / sample["image"]
        try:
            masks = encoder.regions(path)
        except RegionsError as error:
            yield {"refused": str(error).removeprefix(str(bundle.path))}
            return
        shape = bundle.tensors[REGION_MASKS].shape[2:]
        flat = {name: mask.ravel().tolist() for name, mask in masks.items()}
        yield {"image": str(path), "shape": shape, "masks": flat}
