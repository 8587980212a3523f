"""WordPiece as BERT uncased does it, from a vocab.txt alone.

Every character is first replaced on its own as wordpiece_chars.tsv says (control characters dropped, accents
stripped, lower-cased, CJK and punctuation set apart by spaces), then each word is cut into the longest
pieces that the vocabulary has. The ids equal those of transformers' BertTokenizerFast; the table pins the
Unicode version, which Python's and Java's own functions would not. Lone surrogates, which that tokenizer
refuses, are dropped.
"""

import os
import re
from bisect import bisect_right
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from .errors import InputError

CHARACTERS = Path(__file__).with_name("wordpiece_chars.tsv")
MAX_WORD_CHARS = 100  # a longer word is unknown as a whole
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_SPECIAL = re.compile("(" + "|".join(map(re.escape, SPECIAL_TOKENS)) + ")")
_LONGEST_SPECIAL = max(map(len, SPECIAL_TOKENS))
FIRST_READ = 1024
"""Characters that are read of a longer text, at first."""
_HANGUL_FIRST, _HANGUL_LAST = 0xAC00, 0xD7A3


class TokenizerError(InputError):
    """The vocabulary or the text cannot be used."""


class WordPieceTokenizer:
    """Turns text into a fixed number of ids: [CLS] pieces [SEP], padded.

    The special tokens, written out in a text, are taken as such, as BertTokenizerFast does.

    Args:
        vocab_path: The vocabulary, a piece a line, the line's number its id.
        max_length: Number of ids; further pieces are cut off.

    Raises:
        TokenizerError: The vocabulary cannot be read, repeats a piece or lacks a special token, or
            max_length has no room for [CLS] and [SEP].
    """

    def __init__(self, vocab_path: str | os.PathLike, max_length: int) -> None:
        if max_length < 2:
            raise TokenizerError(f"max_length must be at least 2, for [CLS] and [SEP], not {max_length}")
        self.max_length = max_length
        self._ids = _read_vocab(Path(vocab_path))
        self._pad, self._unknown, self._start, self._end = (self._ids[t] for t in SPECIAL_TOKENS[:4])
        self._characters = _characters()

    def encode(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids of a text of any length.

        Returns:
            input_ids, int32 [max_length], and attention_mask, int32 [max_length]: 1 = a token, 0 = padding.

        Raises:
            TokenizerError: The text is not a string.
        """
        if not isinstance(text, str):
            raise TokenizerError(f"the text must be a string, not {type(text).__name__}")
        ids = [self._start, *first_pieces(text, self.max_length - 2, self._pieces), self._end]
        return padded(ids, self.max_length, self._pad)

    def _pieces(self, text: str, limit: int, whole: bool) -> list[int]:
        if not whole:  # a special token may go on behind the end
            opened = text.rfind("[", len(text) - _LONGEST_SPECIAL + 1)
            text = text[:opened] if opened >= 0 else text
        pieces: list[int] = []
        parts = _SPECIAL.split(text)
        for number, part in enumerate(parts, 1):
            words = [part] if part in SPECIAL_TOKENS else part.translate(self._characters).split(" ")
            if number == len(parts) and not whole:
                words.pop()  # it may go on too
            for word in filter(None, words):
                if len(pieces) >= limit:
                    return pieces
                pieces += self._word(word)
        return pieces

    def _word(self, word: str) -> list[int]:
        """Ids of a word's pieces, each the longest that the vocabulary has at its place."""
        if len(word) > MAX_WORD_CHARS:
            return [self._unknown]
        pieces, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                piece = self._ids.get(prefix + word[start:end])
                if piece is not None:
                    break
            else:
                return [self._unknown]
            pieces.append(piece)
            start = end
        return pieces


def first_pieces(text: str, limit: int, pieces_of: Callable[[str, int, bool], list[int]]) -> list[int]:
    """The first pieces of a text, read only as far as they need.

    Args:
        text: Of any length.
        limit: Number of pieces, at most.
        pieces_of: Called with a text, the limit, and whether the text is whole: it returns the pieces, at
            least `limit` where there are as many; of a text that is not whole, only those that no further
            characters would change.
    """
    read = FIRST_READ
    while read < len(text):
        pieces = pieces_of(text[:read], limit, False)
        if len(pieces) >= limit:
            return pieces[:limit]
        read *= 8  # so that a text that has to be read to its end costs little more than once
    return pieces_of(text, limit, True)[:limit]


def padded(ids: list[int], length: int, pad: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids filled up to a length, int32 [length], and the mask of the real ones, int32 [length]."""
    input_ids = np.full(length, pad, np.int32)
    input_ids[: len(ids)] = ids
    attention_mask = np.zeros(length, np.int32)
    attention_mask[: len(ids)] = 1
    return input_ids, attention_mask


def hangul_parts(code: int) -> str | None:
    """The two or three letters of a Hangul syllable, by Unicode's formula; None for any other character."""
    if not _HANGUL_FIRST <= code <= _HANGUL_LAST:
        return None
    lead, rest = divmod(code - _HANGUL_FIRST, 21 * 28)
    vowel, tail = divmod(rest, 28)
    return chr(0x1100 + lead) + chr(0x1161 + vowel) + (chr(0x11A7 + tail) if tail else "")


class _Characters(dict):
    """A table for str.translate that looks code points up in ranges and remembers them."""

    def __init__(self, ranges: list[tuple[int, int, str, str]]) -> None:
        super().__init__()
        self._ranges = ranges
        self._firsts = [first for first, *_ in ranges]

    def __missing__(self, code: int) -> str:
        self[code] = result = self._replacement(code)
        return result

    def _replacement(self, code: int) -> str:
        place = bisect_right(self._firsts, code) - 1
        if place >= 0:
            _, last, action, text = self._ranges[place]
            if code <= last:
                fixed = {"drop": "", "space": " ", "split": f" {chr(code)} "}
                return text if action == "text" else fixed[action]
        return hangul_parts(code) or chr(code)


@cache
def _characters() -> _Characters:
    ranges = []
    for line in CHARACTERS.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            first, last, action, *text = line.split("\t")
            replacement = "".join(chr(int(code, 16)) for code in text[0].split()) if text else ""
            ranges.append((int(first, 16), int(last, 16), action, replacement))
    return _Characters(ranges)


def _read_vocab(path: Path) -> dict[str, int]:
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")  # a piece may hold other line separators
    except OSError as error:
        raise TokenizerError(f"{path}: the vocabulary cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TokenizerError(f"{path}: the vocabulary is not UTF-8: {error}") from error
    pieces = [line.removesuffix("\r") for line in lines]
    if pieces[-1] == "":
        pieces.pop()
    ids = {piece: number for number, piece in enumerate(pieces)}
    missing = [token for token in SPECIAL_TOKENS if token not in ids]
    if missing:
        raise TokenizerError(f"{path}: the vocabulary lacks {', '.join(missing)}")
    if len(ids) != len(pieces):
        repeated = next(piece for number, piece in enumerate(pieces) if ids[piece] != number)
        raise TokenizerError(f"{path}: the vocabulary has {repeated!r} twice")
    return ids
