"""What of a text is kept where it has more pieces than a model takes, and how far it is read for that.

A keyboard sends what was typed up to the caret: its end counts, so the beginning is cut off (`LEFT`).
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

import numpy as np

from .errors import InputError

LEFT, RIGHT = TRUNCATIONS = ("left", "right")
NEAR = 8
"""Pieces that are cut off on the left beyond those that must be, at most, to begin with a whole word."""
FIRST_READ = 1024
"""Characters that are read of a longer text, at first."""

Words = Callable[[str], Iterator[list[int]]]
IsBorder = Callable[[str, int], bool]


class TokenizerError(InputError):
    """The vocabulary or the text cannot be used."""


def check_room(max_length: int, ends: str) -> None:
    """Refuses a number of ids that leaves no room for a text's start and end.

    Raises:
        TokenizerError: It is below 2.
    """
    if max_length < 2:
        raise TokenizerError(f"max_length must be at least 2, for {ends}, not {max_length}")


def truncated(text: str, limit: int, truncation: str, words: Words, is_border: IsBorder) -> list[int]:
    """The pieces of a text that are kept; of a long text only as much is read as they need.

    Args:
        text: Of any length.
        limit: Number of pieces, at most.
        truncation: LEFT keeps the last ones, from a word's beginning where one is near; RIGHT the first ones.
        words: Gives the pieces of each word of a text.
        is_border: Whether a text may be cut before a place, with the same words on both sides.

    Raises:
        TokenizerError: The text is not a string.
    """
    if not isinstance(text, str):
        raise TokenizerError(f"the text must be a string, not {type(text).__name__}")
    keep = _last if truncation == LEFT else _first
    read = FIRST_READ
    while read < len(text):
        pieces, full = keep(words(_part(text, read, truncation, is_border)), limit)
        if full:
            return pieces
        read *= 8  # so that a text that has to be read to its end costs little more than once
    return keep(words(text), limit)[0]


def _part(text: str, read: int, truncation: str, is_border: IsBorder) -> str:
    """At most `read` characters of an end of a text, to a border; none where that is not near."""
    if truncation == LEFT:
        first = len(text) - read
        places = range(first, min(first + FIRST_READ, len(text)))
        return text[next((place for place in places if is_border(text, place)), len(text)) :]
    places = range(read, max(read - FIRST_READ, 0), -1)
    return text[: next((place for place in places if is_border(text, place)), 0)]


def _first(words: Iterable[list[int]], limit: int) -> tuple[list[int], bool]:
    """The first pieces, and whether they are as many as may be."""
    pieces = list(islice(chain.from_iterable(words), limit))
    return pieces, len(pieces) == limit


def _last(words: Iterable[list[int]], limit: int) -> tuple[list[int], bool]:
    """The last pieces, and whether there are as many as may be."""
    pieces: list[int] = []
    begins = []
    for word in words:
        begins.append(len(pieces))
        pieces += word
    least = len(pieces) - limit
    if least <= 0:
        return pieces, least == 0
    place = bisect_left(begins, least)
    near = place < len(begins) and begins[place] <= least + NEAR
    return pieces[begins[place] if near else least :], True


def padded(ids: list[int], length: int, pad: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids filled up to a length, int32 [length], and the mask of the real ones, int32 [length]."""
    input_ids = np.full(length, pad, np.int32)
    input_ids[: len(ids)] = ids
    attention_mask = np.zeros(length, np.int32)
    attention_mask[: len(ids)] = 1
    return input_ids, attention_mask
