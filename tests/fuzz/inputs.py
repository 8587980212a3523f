"""Campaigns of what an app passes: user vectors and texts."""

from __future__ import annotations

import functools
import random
import warnings
from pathlib import Path

import numpy as np

from runtime import ScreenEncoder
from runtime.bpe import ByteBpeTokenizer
from runtime.errors import InputError
from runtime.tokenizer import WordPieceTokenizer
from tests.fuzz.damage import BAD_VALUES
from tests.fuzz.files import TINY
from tests.fuzz.trials import refusals
from tests.runtime import make_byte_bpe_cases as bpe
from tests.runtime import make_tokenizer_cases as wordpiece


class _Hostile:
    """Raises wherever it is touched."""

    def __array__(self, *arguments: object, **options: object) -> np.ndarray:
        raise RuntimeError("no array")

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> float:
        raise KeyError(index)


def user(chooser: random.Random, folder: Path) -> None:
    """A user vector of any scale, dtype and shape, or an object that is none, in every engine and precision."""
    scale = 10.0 ** chooser.uniform(-46, 39)
    numbers = [chooser.gauss(0, 1) * scale for _ in range(64)]
    special = (np.nan, np.inf, -np.inf, 3.4e38, 1e-45, 10**60, True, "1", None, 1 + 2j, [0])
    if chooser.random() < 0.2:
        numbers[chooser.randrange(64)] = chooser.choice(special)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dtype = chooser.choice((None, None, None, None, np.float16, np.float32, np.float64, object, "U8"))
        odd = (numbers[:-1], [numbers], _Hostile(), [_Hostile()] * 64, *BAD_VALUES)
        given = numbers if chooser.random() < 0.8 else chooser.choice(odd)
        if dtype is not None and given is numbers:
            try:
                given = np.array(numbers, dtype)
            except (TypeError, ValueError, OverflowError):
                given = numbers
    encoder = _encoder(*chooser.choice(_ENGINES))
    with refusals(InputError):
        embedding = encoder.encode_text("see you at", given)
    length = float(np.linalg.norm(embedding.astype(np.float64)))
    assert embedding.shape == (256,) and abs(length - 1) < 1e-3, f"an embedding of length {length}"


_ENGINES = (("tflite", "int8"), ("tflite", "fp32"), ("onnx", "int8"), ("onnx", "fp32"))


@functools.cache
def _encoder(engine: str, precision: str) -> ScreenEncoder:
    encoder = ScreenEncoder.load(TINY, engine, precision, weight_cache=False)
    encoder.encode_screen(np.full((64, 32, 3), 99, np.uint8))
    return encoder


def text(chooser: random.Random, folder: Path) -> None:
    """A text of any characters: both tokenizers give the ids of the libraries that define them."""
    given = _text(chooser)
    for own, reference, expected_ids in _tokenizers():
        ids, mask = own.encode(given)
        expected = expected_ids(reference, given)
        assert ids[mask == 1].tolist() == expected, (
            f"{given[:80]!r}: {ids[mask == 1].tolist()[:9]}, not {expected[:9]}"
        )


def _text(chooser: random.Random) -> str:
    blocks = (
        (0x20, 0x7F),
        (0, 0x300),
        (0x300, 0x3100),
        (0x3040, 0xA000),
        (0xAC00, 0xFFFF),
        (0x1F300, 0x1FB00),
        (0, 0x110000),
    )
    parts = ["[CLS]", "[SEP]", "<s>", "</s>", " ", "  ", "\n", "'s", "\u200d", "\ufe0f", "the", "ing", "1"]
    made = []
    for _ in range(chooser.choice((0, 1, 5, 40, 300))):
        block = chooser.choice(blocks)
        made.append(
            chooser.choice(
                (chooser.choice(parts), chr(chooser.randrange(*block)), chr(chooser.randrange(*block)))
            )
        )
    return "".join(made)


@functools.cache
def _tokenizers() -> tuple:
    own = WordPieceTokenizer(wordpiece.VOCAB, 64), ByteBpeTokenizer(bpe.VOCAB, bpe.MERGES, 64)
    return tuple(
        (mine, cases.reference(), cases.expected_ids)
        for mine, cases in zip(own, (wordpiece, bpe), strict=True)
    )
