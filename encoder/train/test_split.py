"""`python -m encoder.train test-split`: the committed test split, with the text teacher's embeddings."""

from __future__ import annotations

import argparse
import random
from itertools import zip_longest
from pathlib import Path

import numpy as np

from calibration_data import CalibrationDataError
from calibration_data.generator.corpora import LANGUAGES, texts
from calibration_data.generator.test_split import (
    DATASET,
    FOLDER,
    SENTENCES,
    make_test_split,
    read_test_samples,
)

LEAST_CHARS, LEAST_WIDE = 15, 8
"""Characters of a text that is called a sentence, the second one in Chinese and Japanese."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `test-split`."""
    parser.add_argument(
        "--dataset", type=Path, default=DATASET, metavar="DIR",
        help="what `python -m calibration_data dataset` has drawn (default build/screens)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=FOLDER, metavar="DIR", help="folder (default calibration_data/test_split)"
    )


def run(given: argparse.Namespace) -> int:
    """Makes the split; returns 0.

    Raises:
        CalibrationDataError: the dataset cannot be used, or does not fit.
        TeacherError: the teacher cannot be loaded.
    """
    samples = read_test_samples(given.dataset)
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(f"embedding {SENTENCES} sentences"):
        sentences, embeddings = unseen_sentences(SENTENCES)
    with console.status("") as status:
        line = make_test_split(
            samples, sentences, embeddings, given.out,
            on_step=lambda done, total, what: status.update(f"{what}: {done} of {total}"),
        )  # fmt: skip
    console.print(line, soft_wrap=True)
    return 0


def unseen_sentences(count: int) -> tuple[list[str], np.ndarray]:
    """Sentences that no training ever sees, in an order that never changes, with MiniLM's view of them.

    Half of them are English; the rest is spread over the other languages as evenly as these have sentences.

    Returns:
        The texts, and their embeddings, float16 [count, 384] of norm 1.

    Raises:
        TeacherError: the teacher cannot be loaded.
        CalibrationDataError: the text corpora cannot be fetched, or have fewer sentences.
    """
    from encoder.train.text_teacher import TextTeacher  # loads torch

    queues = {language: [] for language in LANGUAGES}
    for text in texts("test"):
        # A character of Chinese or Japanese says as much as some letters.
        if len(text.text) >= (LEAST_WIDE if text.language in ("zh", "ja") else LEAST_CHARS):
            queues[text.language].append(text.text)
    for language, queue in queues.items():
        random.Random(language).shuffle(queue)
    english = queues.pop("en")[: count - count // 2]
    others = [text for row in zip_longest(*queues.values()) for text in row if text is not None]
    chosen = english + others[: count // 2]
    if len(chosen) < count:
        raise CalibrationDataError(f"the text corpora have no {count} sentences for the test")
    return chosen, TextTeacher(fast=False).embed(chosen)
