"""Opens the tokenizer that a bundle's manifest names."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .bpe import ByteBpeTokenizer
from .tokenizer import WordPieceTokenizer


class Tokenizer(Protocol):
    """What every tokenizer offers."""

    max_length: int
    unknown: int | None
    """Id of pieces that the vocabulary lacks; None where it can write every text."""

    def encode(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids and mask of a text, int32 [max_length] each."""
        ...


FILES: dict[str, tuple[str, ...]] = {"wordpiece": ("vocab",), "byte_bpe": ("vocab", "merges")}
"""By type, the keys of the manifest's entry that name a file."""


def open_tokenizer(entry: Mapping[str, Any], find: Callable[[str], Path]) -> Tokenizer:
    """Opens a tokenizer.

    Args:
        entry: The manifest's "tokenizer": type, files, max_length and truncation.
        find: Where a named file is.

    Raises:
        TokenizerError: A file cannot be used.
    """
    files = [find(entry[key]) for key in FILES[entry["type"]]]
    kind = {"wordpiece": WordPieceTokenizer, "byte_bpe": ByteBpeTokenizer}[entry["type"]]
    return kind(*files, entry["max_length"], entry["truncation"])
