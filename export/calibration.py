"""Calibration data: a folder of screens and typed texts, read and checked before any work starts."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from calibration_data.samples import CALIBRATION_SPLITS, SAMPLES, Sample, SampleError, read_samples
from encoder.config import EncoderConfig
from runtime.preprocess import load_image
from runtime.tokenizers import Tokenizer

DEFAULT_FOLDER = Path(__file__).parents[1] / "calibration_data"
SPLITS = CALIBRATION_SPLITS
MINIMUM = {"calibration": 8, "parity": 8}
"""Fewest samples of each split: below, ranges are a guess and a worst case says nothing."""

UNKNOWN_SHARE = 0.1
"""Of a language's pieces: above, an export warns."""
HEADROOM = 1.1
"""How much longer than those of the samples a user vector may be."""


def load_samples(folder: Path, user_embed_dim: int) -> list[Sample]:
    """Reads and checks `samples.jsonl`; images are opened later.

    Args:
        folder: holds `samples.jsonl` and the images that it names.
        user_embed_dim: length that every user vector must have.

    Raises:
        SampleError: no such folder or file, a bad line, an image that is missing or outside the folder,
            or too few samples.
    """
    samples = read_samples(folder, splits=SPLITS, user_embed_dim=user_embed_dim)
    for split, least in MINIMUM.items():
        count = sum(sample.split == split for sample in samples)
        if count < least:
            raise SampleError(
                f"{folder / SAMPLES}: {count} samples of split {split!r}; at least {least} are needed"
            )
    return samples


def preprocess(
    samples: list[Sample], config: EncoderConfig, tokenizer: Tokenizer, progress=lambda: None
) -> dict[str, np.ndarray]:
    """Turns samples into model inputs, with the runtime's own preprocessing and tokenizer.

    Args:
        samples: N of them.
        config: gives the sizes.
        tokenizer: of the text tower.
        progress: called after each sample.

    Returns:
        `image` uint8 [N, H, W, 3], `input_ids` and `attention_mask` int32 [N, L], `user` float32 [N, U].

    Raises:
        SampleError: an image cannot be read.
    """
    rows: dict[str, list[np.ndarray]] = {"image": [], "input_ids": [], "attention_mask": [], "user": []}
    for sample in samples:
        try:
            rows["image"].append(load_image(sample.image, config.image_size))
        except ValueError as error:
            raise SampleError(f"sample {sample.id!r}: {error}") from error
        input_ids, attention_mask = tokenizer.encode(sample.text)
        rows["input_ids"].append(input_ids)
        rows["attention_mask"].append(attention_mask)
        rows["user"].append(np.asarray(sample.user or [0.0] * config.user_embed_dim, dtype=np.float32))
        progress()
    return {name: np.stack(values) for name, values in rows.items()}


def unknown_shares(samples: list[Sample], tokenizer: Tokenizer) -> dict[str, float]:
    """The share of a language's pieces that the vocabulary lacks, in [0, 1], by the samples' language."""
    counts: dict[str, np.ndarray] = {}
    for sample in samples:
        input_ids, attention_mask = tokenizer.encode(sample.text)
        pieces = input_ids[: attention_mask.sum()][1:-1]
        unknown = 0 if tokenizer.unknown is None else int((pieces == tokenizer.unknown).sum())
        counts[sample.language] = counts.get(sample.language, 0) + np.array([unknown, len(pieces)])
    return {
        language: round(float(unknown / max(total, 1)), 4)
        for language, (unknown, total) in sorted(counts.items())
    }


def unknown_warning(tokenizer: Mapping[str, Any]) -> str:
    """Names the languages of which the vocabulary lacks many pieces; empty where there is none."""
    shares = {
        name: share for name, share in tokenizer.get("unknown_shares", {}).items() if share > UNKNOWN_SHARE
    }
    named = ", ".join(
        f"{name or 'no language'} {share:.0%}"
        for name, share in sorted(shares.items(), key=lambda item: -item[1])
    )
    if not named:
        return ""
    return (
        f"pieces of the calibration texts that {tokenizer['type']} does not know, by language: {named}; "
        "byte_bpe (text_model roberta_tiny) knows all"
    )


def max_user_norm(samples: list[Sample]) -> float:
    """Length that apps scale longer user vectors down to: a tenth more than the longest of the samples.

    Those of both splits count, so that no golden sample is one that an app would change.
    """
    longest = max((math.hypot(*sample.user) for sample in samples if sample.user), default=0)
    return max(round(longest * HEADROOM, 2), 0.01) if longest else HEADROOM


def folder_sha256(samples: list[Sample]) -> str:
    """Returns one hash over all samples and the bytes of their images."""
    digest = hashlib.sha256()
    for sample in samples:
        fields = (sample.id, sample.split, sample.text, sample.user, sample.language)
        digest.update(json.dumps(fields, ensure_ascii=True).encode())
        digest.update(hashlib.sha256(sample.image.read_bytes()).digest())
    return digest.hexdigest()
