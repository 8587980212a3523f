"""Trains the byte-level BPE of `roberta_tiny` on the project's corpora: `python -m encoder.train tokenizer`.

The vocabulary that RoBERTa was published with has 50,265 pieces, at a width of 312 alone 15.7 million
parameters, more than the whole encoder may have. The same corpora and command give the same files.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from calibration_data.generator.corpora import dialogues, texts
from encoder.config import BYTE_BPE, BYTE_BPE_SIZE
from runtime.bpe import SPECIAL_TOKENS
from runtime.files import write_atomically

LEAST_COUNT = 2
"""A pair that stands in the corpora only once is not joined."""
MOST_CHARS = 2000
"""Of one text; a few of the corpora's are whole pages."""


def corpus() -> Iterator[str]:
    """Yields the training split of all texts and dialogues, in an order that never changes."""
    for text in texts("train"):
        yield text.text[:MOST_CHARS]
    for dialogue in dialogues("train"):
        yield from (turn[:MOST_CHARS] for turn in dialogue.turns)


def train(corpus: Iterator[str], size: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Learns a vocabulary of `size` pieces, special tokens and the 256 bytes included.

    Returns:
        The pieces with their ids, and the pairs to join, the first one first.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=size,
        min_frequency=LEAST_COUNT,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def write(folder: Path, vocab: dict[str, int], merges: list[tuple[str, str]]) -> None:
    """Writes `vocab.json` and `merges.txt`, in RoBERTa's form."""
    folder.mkdir(parents=True, exist_ok=True)
    ordered = dict(sorted(vocab.items(), key=lambda item: item[1]))
    write_atomically(
        folder / "vocab.json", (json.dumps(ordered, ensure_ascii=False, indent=0) + "\n").encode()
    )
    lines = "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges)
    write_atomically(folder / "merges.txt", lines.encode())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `tokenizer`."""
    parser.add_argument(
        "--out", type=Path, default=BYTE_BPE, metavar="DIR", help="folder (default encoder/assets/byte_bpe)"
    )


def run(given: argparse.Namespace) -> int:
    """Trains and writes the files; returns 0.

    Raises:
        CalibrationDataError: the text corpora cannot be had.
    """
    vocab, merges = train(corpus(), BYTE_BPE_SIZE)
    write(given.out, vocab, merges)
    print(f"{len(vocab)} pieces, {len(merges)} merges: {given.out}")
    return 0
