"""Calibration data: a folder of screens and typed texts, read and checked before any work starts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from encoder.config import EncoderConfig
from runtime.preprocess import load_image
from runtime.tokenizer import WordPieceTokenizer

DEFAULT_FOLDER = Path(__file__).parents[1] / "calibration_data"
SAMPLES = "samples.jsonl"
SPLITS = ("calibration", "parity")
MINIMUM = {"calibration": 8, "parity": 8}
"""Fewest samples of each split: below, ranges are a guess and a worst case says nothing."""
REQUIRED = {"id": str, "split": str, "image": str, "text": str}
OPTIONAL = {
    "user": list, "user_style": str, "kind": str, "kit": str, "look": str, "dark": bool,
    "keyboard": (str, type(None)), "language": str, "boxes": dict, "width": int, "height": int,
}  # fmt: skip


class CalibrationError(ValueError):
    """Calibration data that cannot be used; the message names the file and line."""


@dataclass(frozen=True)
class Sample:
    """One context: a screenshot's file, the text typed so far and the user vector."""

    id: str
    split: str
    image: Path
    text: str
    user: tuple[float, ...] | None


def load_samples(folder: Path, user_embed_dim: int) -> list[Sample]:
    """Reads and checks `samples.jsonl`; images are opened later.

    Args:
        folder: holds `samples.jsonl` and the images that it names.
        user_embed_dim: length that every user vector must have.

    Raises:
        CalibrationError: no such folder or file, a bad line, an image that is missing or outside the folder,
            or too few samples.
    """
    path = folder / SAMPLES
    if not path.is_file():
        raise CalibrationError(f"{folder}: no {SAMPLES} there; see calibration_data/README.md for its form")
    samples: list[Sample] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            samples.append(_parse(line, folder, user_embed_dim, f"{path}:{number}"))
    ids = [sample.id for sample in samples]
    if len(set(ids)) != len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise CalibrationError(f"{path}: the id {twice!r} appears twice")
    for split, least in MINIMUM.items():
        count = sum(sample.split == split for sample in samples)
        if count < least:
            raise CalibrationError(f"{path}: {count} samples of split {split!r}; at least {least} are needed")
    return samples


def _parse(line: str, folder: Path, user_embed_dim: int, where: str) -> Sample:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise CalibrationError(f"{where}: not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise CalibrationError(f"{where}: each line must hold one JSON object")
    _check_keys(values, where)
    if values["split"] not in SPLITS:
        raise CalibrationError(f"{where}: split is {values['split']!r}; valid: {', '.join(SPLITS)}")
    image = (folder / values["image"]).resolve()
    if not image.is_relative_to(folder.resolve()):
        raise CalibrationError(f"{where}: image {values['image']!r} lies outside {folder}")
    if not image.is_file():
        raise CalibrationError(f"{where}: no such image: {values['image']}")
    return Sample(
        values["id"], values["split"], image, values["text"], _user(values.get("user"), user_embed_dim, where)
    )


def _check_keys(values: dict[str, Any], where: str) -> None:
    missing = sorted(REQUIRED.keys() - values.keys())
    if missing:
        raise CalibrationError(f"{where}: missing {', '.join(missing)}")
    known = REQUIRED | OPTIONAL
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        raise CalibrationError(f"{where}: unknown key {', '.join(unknown)}; valid keys: {', '.join(known)}")
    for key, value in values.items():
        if not isinstance(value, known[key]):
            raise CalibrationError(f"{where}: {key} is {value!r}, which is of the wrong type")


def _user(values: list | None, length: int, where: str) -> tuple[float, ...] | None:
    if values is None:
        return None
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    if len(values) != length or not numbers or not np.isfinite(values).all():
        raise CalibrationError(f"{where}: user must be {length} finite numbers")
    return tuple(map(float, values))


def preprocess(
    samples: list[Sample], config: EncoderConfig, vocabulary: Path, progress=lambda: None
) -> dict[str, np.ndarray]:
    """Turns samples into model inputs, with the runtime's own preprocessing and tokenizer.

    Args:
        samples: N of them.
        config: gives the sizes.
        vocabulary: of the text tower.
        progress: called after each sample.

    Returns:
        `image` uint8 [N, H, W, 3], `input_ids` and `attention_mask` int32 [N, L], `user` float32 [N, U].

    Raises:
        CalibrationError: an image cannot be read.
    """
    tokenizer = WordPieceTokenizer(vocabulary, config.text_max_length)
    rows: dict[str, list[np.ndarray]] = {"image": [], "input_ids": [], "attention_mask": [], "user": []}
    for sample in samples:
        try:
            rows["image"].append(load_image(sample.image, config.image_size))
        except ValueError as error:
            raise CalibrationError(f"sample {sample.id!r}: {error}") from error
        input_ids, attention_mask = tokenizer.encode(sample.text)
        rows["input_ids"].append(input_ids)
        rows["attention_mask"].append(attention_mask)
        rows["user"].append(np.asarray(sample.user or [0.0] * config.user_embed_dim, dtype=np.float32))
        progress()
    return {name: np.stack(values) for name, values in rows.items()}


def folder_sha256(samples: list[Sample]) -> str:
    """Returns one hash over all samples and the bytes of their images."""
    digest = hashlib.sha256()
    for sample in samples:
        fields = (sample.id, sample.split, sample.text, sample.user)
        digest.update(json.dumps(fields, ensure_ascii=True).encode())
        digest.update(hashlib.sha256(sample.image.read_bytes()).digest())
    return digest.hexdigest()
