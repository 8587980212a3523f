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
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from .truncation import LEFT, TokenizerError, check_room, padded, truncated

CHARACTERS = Path(__file__).with_name("wordpiece_chars.tsv")
MAX_WORD_CHARS = 100  # a longer word is unknown as a whole
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_SPECIAL = re.compile("(" + "|".join(map(re.escape, SPECIAL_TOKENS)) + ")")
_HANGUL_FIRST, _HANGUL_LAST = 0xAC00, 0xD7A3


class WordPieceTokenizer:
    """Turns text into a fixed number of ids: [CLS] pieces [SEP], padded.

    The special tokens, written out in a text, are taken as such, as BertTokenizerFast does.

    Args:
        vocab_path: The vocabulary, a piece a line, the line's number its id.
        max_length: Number of ids; further pieces are cut off.
        truncation: On which side: "left" or "right".

    Raises:
        TokenizerError: The vocabulary cannot be read, repeats a piece or lacks a special token, or
            max_length has no room for [CLS] and [SEP].
    """

    def __init__(self, vocab_path: str | os.PathLike, max_length: int, truncation: str = LEFT) -> None:
        check_room(max_length, "[CLS] and [SEP]")
        self.max_length, self.truncation = max_length, truncation
        self._ids = _read_vocab(Path(vocab_path))
        self._pad, self.unknown, self._start, self._end = (self._ids[t] for t in SPECIAL_TOKENS[:4])
        self._characters = _characters()

    def encode(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids of a text of any length.

        Returns:
            input_ids, int32 [max_length], and attention_mask, int32 [max_length]: 1 = a token, 0 = padding.

        Raises:
            TokenizerError: The text is not a string.
        """
        pieces = truncated(text, self.max_length - 2, self.truncation, self._words, self._is_border)
        return padded([self._start, *pieces, self._end], self.max_length, self._pad)

    def _words(self, text: str) -> Iterator[list[int]]:
        """The pieces of each word of a text."""
        for part in _SPECIAL.split(text):
            if part in SPECIAL_TOKENS:
                yield [self._ids[part]]
                continue
            for word in part.translate(self._characters).split(" "):
                if word:
                    yield self._word(word)

    def _is_border(self, text: str, place: int) -> bool:
        """Behind a character that stands apart, but for one that a special token may begin with."""
        before = text[place - 1]
        return before != "[" and " " in self._characters[ord(before)]

    def _word(self, word: str) -> list[int]:
        """Ids of a word's pieces, each the longest that the vocabulary has at its place."""
        if len(word) > MAX_WORD_CHARS:
            return [self.unknown]
        pieces, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                piece = self._ids.get(prefix + word[start:end])
                if piece is not None:
                    break
            else:
                return [self.unknown]
            pieces.append(piece)
            start = end
        return pieces


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
