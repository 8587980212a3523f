"""Long texts: both tokenizers give the ids of the whole text, and read no more of it than those need."""

import tracemalloc

import numpy as np
import pytest

from runtime.bpe import ByteBpeTokenizer
from runtime.tokenizer import WordPieceTokenizer
from runtime.truncation import FIRST_READ, TRUNCATIONS
from tests.runtime.make_byte_bpe_cases import MERGES
from tests.runtime.make_byte_bpe_cases import VOCAB as BYTE_BPE_VOCAB
from tests.runtime.make_tokenizer_cases import VOCAB

OPEN = {
    "wordpiece": lambda length, truncation: WordPieceTokenizer(VOCAB, length, truncation),
    "byte_bpe": lambda length, truncation: ByteBpeTokenizer(BYTE_BPE_VOCAB, MERGES, length, truncation),
}
ENDINGS = (
    "don't",
    "we've",
    "a   b",
    "[MASK]x",
    "<mask>x",
    "!!<s>!",
    "\ud800<\ud800s>",
    "한국어",
    "e\u0301!",
    "你，好",
)


@pytest.fixture(params=OPEN)
def opened(request):
    return OPEN[request.param]


def test_nothing_changes_where_the_first_reading_ends(opened):
    """Each ending lies across that place in every way, behind dropped characters, and few pieces are enough."""
    endless, shorter = opened(2 * FIRST_READ, "right"), [opened(length, "right") for length in range(3, 9)]
    for ending in ENDINGS:
        for shift in range(len(ending) + 8):
            text = "\ud800" * (FIRST_READ - shift) + ending + " and more words" * 100
            whole, _ = endless.encode(text)
            for short in shorter:
                known = short.max_length - 1
                assert np.array_equal(short.encode(text)[0][:known], whole[:known]), (ending, shift)


def test_nothing_changes_where_the_last_reading_begins(opened):
    """The same on the left, against the pieces of the whole text, cut where a word begins."""
    endless, shorter = opened(2 * FIRST_READ, "left"), [opened(length, "left") for length in range(3, 9)]
    for beginning in ENDINGS:
        for shift in range(len(beginning) + 8):
            text = "more words and " * 100 + beginning + "\ud800" * (FIRST_READ - shift)
            whole, mask = endless.encode(text)
            pieces = whole[: mask.sum()].tolist()
            for short in shorter:
                ids, kept = short.encode(text)
                assert ids[: kept.sum()].tolist()[1:] == pieces[-(kept.sum() - 1) :], (beginning, shift)


@pytest.mark.parametrize("truncation", TRUNCATIONS)
@pytest.mark.parametrize("filler", ["see you at the station ", "[MASK]<mask>", "中文 ", "中文，", "'s "])
def test_a_text_is_read_only_as_far_as_its_ids_need(opened, filler, truncation):
    """What a tokenizer reads it copies: memory tells how much that was."""
    short = opened(64, truncation)
    part = filler * (200_000 // len(filler))
    text = part * 50
    assert np.array_equal(short.encode(part)[0], short.encode(text)[0])
    peaks = []
    for read in (part, text):
        tracemalloc.start()
        short.encode(read)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0] + 100_000


@pytest.mark.parametrize("truncation", TRUNCATIONS)
def test_a_text_without_a_piece_is_read_to_its_end(opened, truncation):
    nothing = "\ud800" * 50_000
    text = nothing + "hello" if truncation == "right" else "hello" + nothing
    assert np.array_equal(opened(64, truncation).encode(text)[0], opened(64, truncation).encode("hello")[0])


def test_a_keystroke_at_the_end_of_a_long_text_counts(opened):
    """Two texts with the same long beginning and other ends have other ids; cut on the right they are alike."""
    long = "we have known each other for years and " * 20
    for truncation, alike in (("left", False), ("right", True)):
        tokenizer = opened(64, truncation)
        one, other = (tokenizer.encode(long + end)[0] for end in ("I love you", "I hate you"))
        assert np.array_equal(one, other) == alike
