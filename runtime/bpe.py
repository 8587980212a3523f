"""Byte-level BPE as GPT-2 and RoBERTa do it, from a vocab.json and a merges.txt alone.

A text is cut into words of letters, digits, other signs or white space, each with the space before it. The
bytes of a word's UTF-8 become symbols, and neighbours are joined, of all pairs the one that merges.txt names
first, until no pair is left. byte_bpe_chars.tsv says which characters are letters, digits and white space: it
pins the Unicode version. The ids equal those of the `tokenizers` library. Lone surrogates, which it refuses,
are dropped.
"""

import heapq
import os
import re
from functools import cache
from pathlib import Path

import numpy as np

from .json_text import quoted, read_json, read_text
from .tokenizer import TokenizerError, first_pieces, padded

CHARACTERS = Path(__file__).with_name("byte_bpe_chars.tsv")
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_SPECIAL = re.compile("(" + "|".join(map(re.escape, SPECIAL_TOKENS)) + ")")
_LOOK_AHEAD = max(map(len, SPECIAL_TOKENS))
"""So many characters behind a word decide where it ends: it may be an ending, or begin a special token."""
_SURROGATES = re.compile("[\ud800-\udfff]")
MOST_WORD_BYTES = 1 << 16
"""Of a longer word only so much is read: some hundred times more than any model takes."""


class ByteBpeTokenizer:
    """Turns text into a fixed number of ids: <s> pieces </s>, padded.

    The special tokens, written out in a text, are taken as such, as in `WordPieceTokenizer`.

    Args:
        vocab_path: JSON, a piece -> its id.
        merges_path: A pair of pieces a line, the first to be joined first; lines that start with "#version"
            are no pairs.
        max_length: Number of ids; further pieces are cut off.

    Raises:
        TokenizerError: A file cannot be read, holds something else, or lacks a special token or a byte; or
            max_length has no room for <s> and </s>.
    """

    def __init__(
        self, vocab_path: str | os.PathLike, merges_path: str | os.PathLike, max_length: int
    ) -> None:
        if max_length < 2:
            raise TokenizerError(f"max_length must be at least 2, for <s> and </s>, not {max_length}")
        self.max_length = max_length
        self._ids = _read_vocab(Path(vocab_path))
        self._start, self._pad, self._end = (self._ids[token] for token in SPECIAL_TOKENS[:3])
        self._joined = _read_merges(Path(merges_path), self._ids)
        self._bytes = [self._ids[symbol] for symbol in _byte_symbols()]
        self._words = _word_pattern()

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
        pieces: list[int] = []
        parts = _SPECIAL.split(_SURROGATES.sub("", text))
        for number, part in enumerate(parts, 1):
            if part in SPECIAL_TOKENS:
                pieces.append(self._ids[part])
                continue
            known = len(part) - (_LOOK_AHEAD if number == len(parts) and not whole else 0)
            for word in self._words.finditer(part):
                if len(pieces) >= limit or min(word.end(), word.start() + MOST_WORD_BYTES) > known:
                    return pieces
                pieces += self._word(word[0])
        return pieces

    def _word(self, word: str) -> list[int]:
        """Joins a word's bytes, always the pair that was learned first, of equal ones the leftmost."""
        pieces: list[int | None] = [
            self._bytes[byte] for byte in word[:MOST_WORD_BYTES].encode()[:MOST_WORD_BYTES]
        ]
        after = [*range(1, len(pieces)), -1]
        before = list(range(-1, len(pieces) - 1))
        waiting: list[tuple[int, int, tuple]] = []

        def consider(left: int) -> None:
            right = after[left] if left >= 0 else -1
            if right >= 0:
                pair = (pieces[left], pieces[right])
                if pair in self._joined:
                    heapq.heappush(waiting, (self._joined[pair][0], left, pair))

        for place in range(len(pieces)):
            consider(place)
        while waiting:
            _, left, pair = heapq.heappop(waiting)
            right = after[left]
            if right < 0 or (pieces[left], pieces[right]) != pair:
                continue  # one of the two has been joined with another
            pieces[left], pieces[right] = self._joined[pair][1], None
            after[left] = after[right]
            if after[left] >= 0:
                before[after[left]] = left
            consider(left)
            consider(before[left])
        return [piece for piece in pieces if piece is not None]


@cache
def _byte_symbols() -> tuple[str, ...]:
    """The character that stands for each byte: itself where it prints, else the next one from U+0100 on."""
    printed = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in printed else next(others)) for byte in range(256))


@cache
def _word_pattern() -> re.Pattern:
    """The words of a text: English endings, letters, digits, other signs, white space."""
    ranges: dict[str, list[str]] = {"letter": [], "digit": [], "space": []}
    for line in CHARACTERS.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            first, last, kind = line.split("\t")
            ranges[kind].append(f"{re.escape(chr(int(first, 16)))}-{re.escape(chr(int(last, 16)))}")
    letter, digit, space = ("".join(ranges[kind]) for kind in ranges)
    return re.compile(
        f"'s|'t|'re|'ve|'m|'ll|'d| ?[{letter}]+| ?[{digit}]+| ?[^{space}{letter}{digit}]+"
        f"|[{space}]+(?![^{space}])|[{space}]+"
    )


def _read_vocab(path: Path) -> dict[str, int]:
    found = read_json(path, TokenizerError, "vocabulary")
    whole = isinstance(found, dict) and all(type(number) is int for number in found.values())
    if not whole or sorted(found.values()) != list(range(len(found))):
        raise TokenizerError(
            f"{path}: the vocabulary must be an object of pieces and ids from 0 on, each once"
        )
    missing = [token for token in (*SPECIAL_TOKENS, *_byte_symbols()) if token not in found]
    if missing:
        raise TokenizerError(f"{path}: the vocabulary lacks {', '.join(missing[:5])}")
    return found


def _read_merges(path: Path, ids: dict[str, int]) -> dict[tuple[int, int], tuple[int, int]]:
    """Pair of ids -> its rank and the id of what it becomes."""
    lines = read_text(path, TokenizerError, "merges").split("\n")  # a piece may hold other line separators
    joined: dict[tuple[int, int], tuple[int, int]] = {}
    for number, line in enumerate(lines, 1):
        pair = line.removesuffix("\r").split(" ")
        if pair == [""] or line.startswith("#version"):
            continue
        if len(pair) != 2 or not all(piece in ids for piece in (*pair, "".join(pair))):
            raise TokenizerError(f"{path}:{number}: {quoted(line)} is no pair of pieces of the vocabulary")
        joined[ids[pair[0]], ids[pair[1]]] = (len(joined), ids["".join(pair)])
    return joined
