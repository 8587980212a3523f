"""The committed test split: the screens that quality is measured on, small enough to commit.

It is made from a dataset's splits `test` and `unseen_kit`. Screens are resized as the encoder's own
preprocessing does and then saved: the saved file itself is the test's input. The command that makes it is
`python -m encoder.train test-split`, since it also embeds sentences with the text teacher.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from calibration_data import ROOT, CalibrationDataError
from calibration_data.generator.situations import kind_captions
from calibration_data.samples import SAMPLES, Box, Sample, read_samples
from runtime.preprocess import load_image

FOLDER = ROOT / "test_split"
DATASET = ROOT.parent / "build" / "screens"
"""Where `python -m calibration_data dataset` draws to."""
SPLITS = ("test", "unseen_kit")
SIZE = (256, 128)
"""Height and width of the screens, in pixels."""
USER_DIM = 64
SENTENCES = 1000
SCREENS_BYTES = 3_900_000
"""All screens together take no more: with sentences and texts the folder stays below 6 MB."""
QUALITIES = (92, 88, 84, 80, 75, 70, 60, 50)
"""Of the WebP encoder; the first that fits is used for all screens."""
SCREENS = "screens"

OnStep = Callable[[int, int, str], None]


def read_test_samples(dataset: Path) -> list[Sample]:
    """Reads the samples that a test split is made from.

    Args:
        dataset: a folder that `python -m calibration_data dataset` wrote.

    Raises:
        SampleError: it is none.
    """
    return read_samples(dataset, splits=SPLITS, user_embed_dim=USER_DIM)


def make_test_split(
    samples: Sequence[Sample],
    sentences: Sequence[str],
    embeddings: np.ndarray,
    out: Path = FOLDER,
    *,
    on_step: OnStep = lambda done, total, what: None,
) -> str:
    """Makes the test split; `out` is replaced as a whole, its README.md stays.

    Args:
        samples: as `read_test_samples` gives them.
        sentences: texts for the text tower.
        embeddings: float16 [len(sentences), D] of norm 1, the text teacher's.
        out: the folder to write.
        on_step: called with steps done, steps in all, and what is done.

    Returns:
        One line that says what was written.

    Raises:
        CalibrationDataError: a screen cannot be read, or they do not fit; `out` is unchanged.
    """
    total = 2 * len(samples)
    screens = []
    for done, sample in enumerate(samples):
        screens.append(_screen(sample))
        on_step(done + 1, total, "resizing screens")
    quality, files = _encoded(screens, lambda done: on_step(len(samples) + done, total, "writing screens"))
    write_split(out, samples, files, kind_captions("test"), sentences, embeddings)
    counts = ", ".join(f"{sum(s.split == split for s in samples)} {split}" for split in SPLITS)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return f"{out}: {counts}, WebP of quality {quality}, {size / 1e6:.2f} MB"


def write_split(
    out: Path,
    samples: Sequence[Sample],
    files: Sequence[bytes],
    captions: Mapping[str, Sequence[str]],
    sentences: Sequence[str],
    embeddings: np.ndarray,
) -> None:
    """Writes a test split's files beside their place and then moves them there.

    Args:
        out: the folder; made if missing.
        samples: of SPLITS.
        files: their screens as WebP.
        captions: kind -> sentences that describe a screen of it.
        sentences: texts for the text tower.
        embeddings: [len(sentences), D], the teacher's.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        staging = Path(folder)
        (staging / SCREENS).mkdir()
        for sample, data in zip(samples, files, strict=True):
            (staging / SCREENS / f"{sample.id}.webp").write_bytes(data)
        lines = "".join(json.dumps(_line(sample), ensure_ascii=False) + "\n" for sample in samples)
        (staging / SAMPLES).write_text(lines, encoding="utf-8")
        plain = {kind: list(texts) for kind, texts in sorted(captions.items())}
        text = json.dumps(plain, ensure_ascii=False, indent=1) + "\n"
        (staging / "captions.json").write_text(text, encoding="utf-8")
        arrays = {"sentences": np.array(list(sentences)), "embeddings": embeddings.astype(np.float16)}
        np.savez_compressed(staging / "sentences.npz", **arrays)
        out.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(out / SCREENS, ignore_errors=True)
        for path in sorted(staging.iterdir()):
            path.rename(out / path.name)


def _line(sample: Sample) -> dict:
    """A sample as a line of samples.jsonl, its boxes in pixels of the small screen."""
    height, width = SIZE
    changed = {"image": f"{SCREENS}/{sample.id}.webp", "width": width, "height": height}
    changed["boxes"] = {name: box and _shrunk(box, sample) for name, box in sample.boxes.items()}
    line = asdict(sample) | changed | {"siblings": list(sample.siblings), "user": list(sample.user)}
    del line["kind_caption"]  # of training alone
    return line


def _shrunk(box: Box, sample: Sample) -> list[float]:
    """A box of a sample's screen on the resized one, to a sixteenth of a pixel, in which sums are exact."""
    x, y, width, height = box
    down, right = SIZE[0] / sample.height, SIZE[1] / sample.width
    edges = (x * right, y * down, (x + width) * right, (y + height) * down)
    left, top, end, bottom = (round(edge * 16) / 16 for edge in edges)
    return [left, top, end - left, bottom - top]


def _screen(sample: Sample) -> Image.Image:
    try:
        return Image.fromarray(load_image(sample.image, SIZE))
    except ValueError as error:
        raise CalibrationDataError(f"sample {sample.id!r}: {error}") from error


def _encoded(screens: Sequence[Image.Image], on_screen: Callable[[int], None]) -> tuple[int, list[bytes]]:
    """All screens as WebP of the best quality at which they fit."""
    for quality in QUALITIES:
        files: list[bytes] = []
        while len(files) < len(screens) and sum(map(len, files)) <= SCREENS_BYTES:
            buffer = BytesIO()
            screens[len(files)].save(buffer, "WEBP", quality=quality, method=6)
            files.append(buffer.getvalue())
            on_screen(len(files))
        if sum(map(len, files)) <= SCREENS_BYTES:
            return quality, files
    raise CalibrationDataError(
        f"{len(screens)} screens do not fit in {SCREENS_BYTES / 1e6:.1f} MB: draw fewer for these splits"
    )
