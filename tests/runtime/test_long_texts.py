"""Long texts: both tokenizers give the ids of the whole text, and read no more of it than those need."""

import tracemalloc

import numpy as np
import pytest

from runtime.bpe import ByteBpeTokenizer
from runtime.tokenizer import FIRST_READ, WordPieceTokenizer
from tests.runtime.make_byte_bpe_cases import MERGES
from tests.runtime.make_byte_bpe_cases import VOCAB as BYTE_BPE_VOCAB
from tests.runtime.make_tokenizer_cases import VOCAB

OPEN = {
    "wordpiece": lambda length: WordPieceTokenizer(VOCAB, length),
    "byte_bpe": lambda length: ByteBpeTokenizer(BYTE_BPE_VOCAB, MERGES, length),
}
ENDINGS = ("don't", "we've", "a   b", "[MASK]x", "<mask>x", "!!<s>!", "\ud800<\ud800s>", "한국어", "e\u0301!")


@pytest.fixture(params=OPEN)
def opened(request):
    return OPEN[request.param]


def test_nothing_changes_where_the_first_reading_ends(opened):
    """Each ending lies across that place in every way, behind dropped characters, and few pieces are enough."""
    endless, shorter = opened(2 * FIRST_READ), [opened(length) for length in range(3, 9)]
    for ending in ENDINGS:
        for shift in range(len(ending) + 8):
            text = "\ud800" * (FIRST_READ - shift) + ending + " and more words" * 100
            whole, _ = endless.encode(text)
            for short in shorter:
                known = short.max_length - 1
                assert np.array_equal(short.encode(text)[0][:known], whole[:known]), (ending, shift)


@pytest.mark.parametrize("filler", ["see you at the station ", "[MASK]<mask>", "中文 ", "'s "])
def test_a_text_is_read_only_as_far_as_its_first_ids_need(opened, filler):
    """What a tokenizer reads it copies: memory tells how much that was."""
    short = opened(64)
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


def test_a_text_without_a_piece_is_read_to_its_end(opened):
    text = "\ud800" * 50_000 + "hello"
    assert np.array_equal(opened(64).encode(text)[0], opened(64).encode("hello")[0])
