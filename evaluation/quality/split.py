"""The committed test split: screens, captions, and sentences with a teacher's embeddings."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration_data.samples import SAMPLES, Sample, read_samples
from runtime.errors import InputError
from runtime.json_text import quoted, read_json

FOLDER = Path(__file__).parents[2] / "calibration_data/test_split"
SPLITS = ("test", "unseen_kit")
CAPTIONS, SENTENCES = "captions.json", "sentences.npz"
HOW_TO_MAKE = "python -m encoder.train test-split makes it"


class SplitError(InputError):
    """A test split that cannot be used; the message names the file."""


@dataclass(frozen=True)
class TestSplit:
    """What quality is measured on.

    Attributes:
        samples: contexts of SPLITS, in the file's order.
        captions: by kind, sentences that describe a screen of it.
        sentences: texts of no split.
        teacher: float32 [S, D], the teacher's embeddings of the sentences.
        sha256: over all files of the folder.
    """

    samples: tuple[Sample, ...]
    captions: dict[str, tuple[str, ...]]
    sentences: tuple[str, ...]
    teacher: np.ndarray
    sha256: str

    __test__ = False  # pytest would take it for a test by its name

    def rows(self, split: str) -> np.ndarray:
        """The positions of a split's samples, int64."""
        return np.flatnonzero([sample.split == split for sample in self.samples])


def available(folder: Path = FOLDER) -> bool:
    """Whether there is a test split."""
    return (folder / SAMPLES).is_file()


def read_split(folder: Path = FOLDER, *, user_embed_dim: int) -> TestSplit:
    """Reads and checks a test split.

    Args:
        folder: holds samples.jsonl, its screens, captions.json and sentences.npz.
        user_embed_dim: length of the user vectors that the encoder takes.

    Raises:
        SplitError: a file is missing or damaged, a split has no samples, or a kind has no captions.
        SampleError: a bad line of samples.jsonl.
    """
    if not available(folder):
        raise SplitError(f"{folder}: no test split there ({SAMPLES} is missing); {HOW_TO_MAKE}")
    samples = tuple(read_samples(folder, splits=SPLITS, user_embed_dim=user_embed_dim))
    for split in SPLITS:
        if not any(sample.split == split for sample in samples):
            raise SplitError(f"{folder / SAMPLES}: no samples of split {split!r}")
    captions = _read_captions(folder / CAPTIONS)
    missing = sorted({sample.kind for sample in samples} - captions.keys())
    if missing:
        raise SplitError(f"{folder / CAPTIONS}: no captions of kind {', '.join(missing)}")
    sentences, teacher = _read_sentences(folder / SENTENCES)
    return TestSplit(samples, captions, sentences, teacher, _sha256(folder, samples))


def _read_captions(path: Path) -> dict[str, tuple[str, ...]]:
    values = read_json(path, SplitError, f"file; {HOW_TO_MAKE}")
    if not isinstance(values, dict) or not values:
        raise SplitError(f"{path}: must hold one JSON object, kind -> captions")
    for kind, texts in values.items():
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise SplitError(f"{path}: the captions of {quoted(kind)} must be a list of texts")
    return {kind: tuple(texts) for kind, texts in values.items()}


def _read_sentences(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            sentences, embeddings = arrays["sentences"], arrays["embeddings"]
    except FileNotFoundError:
        raise SplitError(f"{path}: no such file; {HOW_TO_MAKE}") from None
    except KeyError as error:
        raise SplitError(f"{path}: has no array {error}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SplitError(f"{path}: cannot be read as an .npz of plain arrays: {error}") from error
    sound = (
        sentences.dtype.kind == "U"
        and sentences.ndim == 1
        and len(sentences) > 2
        and embeddings.ndim == 2
        and len(embeddings) == len(sentences)
        and embeddings.dtype.kind == "f"
        and bool(np.isfinite(embeddings).all())
    )
    if not sound:
        raise SplitError(
            f"{path}: must hold sentences, texts [S], and embeddings, finite floats [S, D]; S > 2"
        )
    return tuple(map(str, sentences)), embeddings.astype(np.float32)


def _sha256(folder: Path, samples: tuple[Sample, ...]) -> str:
    """One hash over the names and bytes of all files that decide what is measured."""
    digest = hashlib.sha256()
    root = folder.resolve()
    for path in (*(root / name for name in (SAMPLES, CAPTIONS, SENTENCES)), *(s.image for s in samples)):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
