"""`python -m encoder.train test-split`: the committed test split, with the text teacher's embeddings."""

from __future__ import annotations

import argparse
from pathlib import Path

from calibration_data.generator.test_split import (
    DATASET,
    FOLDER,
    SENTENCES,
    make_test_split,
    read_test_samples,
)


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

    from encoder.train.text_teacher import unseen_sentences

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
