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
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from .json_text import quoted, read_json, read_text
from .truncation import LEFT, TokenizerError, check_room, padded, truncated

CHARACTERS = Path(__file__).with_name("byte_bpe_chars.tsv")
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_SPECIAL = re.compile("(" + "|".join(map(re.escape, SPECIAL_TOKENS)) + ")")
_SURROGATES = re.compile("[\ud800-\udfff]")
MOST_WORD_BYTES = 1 << 16
"""Of a longer word only so much is read, on the side that is kept: some hundred times what a model takes."""


class ByteBpeTokenizer:
    """Turns text into a fixed number of ids: <s> pieces </s>, padded.

    The special tokens, written out in a text, are taken as such, as in `WordPieceTokenizer`.

    Args:
        vocab_path: JSON, a piece -> its id.
        merges_path: A pair of pieces a line, the first to be joined first; lines that start with "#version"
            are no pairs.
        max_length: Number of ids; further pieces are cut off.
        truncation: On which side: "left" or "right".

    Raises:
        TokenizerError: A file cannot be read, holds something else, or lacks a special token or a byte; or
            max_length has no room for <s> and </s>.
    """

    unknown = None

    def __init__(
        self,
        vocab_path: str | os.PathLike,
        merges_path: str | os.PathLike,
        max_length: int,
        truncation: str = LEFT,
    ) -> None:
        check_room(max_length, "<s> and </s>")
        self.max_length, self.truncation = max_length, truncation
        self._ids = _read_vocab(Path(vocab_path))
        self._start, self._pad, self._end = (self._ids[token] for token in SPECIAL_TOKENS[:3])
        self._joined = _read_merges(Path(merges_path), self._ids)
        self._bytes = [self._ids[symbol] for symbol in _byte_symbols()]
        self._pattern = _word_pattern()  # compiled as the tokenizer is opened, not at the first keystroke

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
        for part in _SPECIAL.split(_SURROGATES.sub("", text)):
            if part in SPECIAL_TOKENS:
                yield [self._ids[part]]
            else:
                for word in self._pattern.finditer(part):
                    yield self._word(word[0])

    def _is_border(self, text: str, place: int) -> bool:
        """Where a word begins for certain: behind a special token too."""
        pair = text[place - 1 : place + 1]
        return bool(_borders().fullmatch(pair)) or text.endswith(SPECIAL_TOKENS, 0, place)

    def _word(self, word: str) -> list[int]:
        """Joins a word's bytes, always the pair that was learned first, of equal ones the leftmost."""
        if self.truncation == LEFT:
            encoded = word[-MOST_WORD_BYTES:].encode()[-MOST_WORD_BYTES:]
        else:
            encoded = word[:MOST_WORD_BYTES].encode()[:MOST_WORD_BYTES]
        pieces: list[int | None] = [self._bytes[byte] for byte in encoded]
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
def _classes() -> tuple[str, str, str]:
    """Letters, digits and white space, each as what stands between the brackets of an expression."""
    ranges: dict[str, list[str]] = {"letter": [], "digit": [], "space": []}
    for line in CHARACTERS.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            first, last, kind = line.split("\t")
            ranges[kind].append(f"{re.escape(chr(int(first, 16)))}-{re.escape(chr(int(last, 16)))}")
    letter, digit, space = ("".join(ranges[kind]) for kind in ranges)
    return letter, digit, space


@cache
def _word_pattern() -> re.Pattern:
    """The words of a text: English endings, letters, digits, other signs, white space."""
    letter, digit, space = _classes()
    return re.compile(
        f"'s|'t|'re|'ve|'m|'ll|'d| ?[{letter}]+| ?[{digit}]+| ?[^{space}{letter}{digit}]+"
        f"|[{space}]+(?![^{space}])|[{space}]+"
    )


@cache
def _borders() -> re.Pattern:
    """White space behind another character, or a letter behind a sign of no ending or special token."""
    letter, digit, space = _classes()
    dropped = "\ud800-\udfff"
    return re.compile(f"[^{space}{dropped}][{space}]|[^'</{space}{letter}{digit}{dropped}][{letter}]")


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
