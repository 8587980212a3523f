"""The byte-level BPE tokenizer against the `tokenizers` library."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel

from runtime.bpe import SPECIAL_TOKENS, ByteBpeTokenizer, _word_pattern
from runtime.truncation import TRUNCATIONS, TokenizerError
from tests.runtime.make_byte_bpe_cases import CASES, MERGES, VOCAB, expected_ids, reference
from tests.runtime.make_tokenizer_cases import written_and_made


@pytest.fixture(scope="module")
def tokenizer() -> ByteBpeTokenizer:
    return ByteBpeTokenizer(VOCAB, MERGES, 64)


@pytest.fixture(scope="module")
def library():
    return reference()


def ids_of(tokenizer: ByteBpeTokenizer, text: str) -> list[int]:
    """The ids without padding, after checking the padding."""
    input_ids, attention_mask = tokenizer.encode(text)
    assert input_ids.dtype == attention_mask.dtype == np.int32
    assert input_ids.shape == attention_mask.shape == (tokenizer.max_length,)
    length = int(attention_mask.sum())
    assert attention_mask[:length].all() and (input_ids[length:] == 1).all()
    return input_ids[:length].tolist()


def test_the_committed_cases_come_out_the_same(tokenizer):
    cases = [json.loads(line) for line in CASES.read_text(encoding="ascii").splitlines()]
    assert len(cases) >= 2000 and sum("right" in case for case in cases) >= 10
    right = ByteBpeTokenizer(VOCAB, MERGES, 64, "right")
    for case in cases:
        assert ids_of(tokenizer, case["text"]) == case["ids"], case["text"]
        assert ids_of(right, case["text"]) == case.get("right", case["ids"]), case["text"]


def test_the_committed_cases_are_what_the_library_gives(library):
    cases = [json.loads(line) for line in CASES.read_text(encoding="ascii").splitlines()]
    assert [case["text"] for case in cases] == list(written_and_made())
    for case in cases:
        assert expected_ids(library, case["text"]) == case["ids"], case["text"]
        assert expected_ids(library, case["text"], "right") == case.get("right", case["ids"]), case["text"]


def test_every_code_point_is_of_the_class_that_the_library_gives_it():
    """All letters make one word, so do all digits, all other signs and all white space: in the library too."""
    splitter, word = ByteLevel(add_prefix_space=False, use_regex=True), _word_pattern()
    rest = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for first in "!a1\n":
        alike = [character for character in rest if word.fullmatch(first + character)]
        rest = sorted(set(rest).difference(alike))
        text = first + "".join(alike)
        assert [span for _, span in splitter.pre_tokenize_str(text)] == [(0, len(text))]
    assert not rest


@settings(max_examples=600, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
@example("it's we'll I'd 'S  don't\u2019s")
@example(" \u00a0\u3000 a  b \n\n c ")
@example("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
def test_any_text_comes_out_the_same(tokenizer, library, text):
    assert ids_of(tokenizer, text) == expected_ids(library, text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*SPECIAL_TOKENS, "<", ">", "s", " ", "  ", "é", ".", "日", "\u200d", "'"])))
def test_pieces_and_special_tokens_in_any_order(tokenizer, library, parts):
    text = "".join(parts)
    assert ids_of(tokenizer, text) == expected_ids(library, text)


def test_lone_surrogates_are_dropped(tokenizer):
    assert ids_of(tokenizer, "see\ud800 you\udfff") == ids_of(tokenizer, "see you")


@pytest.mark.parametrize("truncation", TRUNCATIONS)
@pytest.mark.parametrize("text", ["see you " * 1_250_000, "a" * 10_000_000])
def test_a_text_of_ten_megabytes_is_cut(text, truncation):
    assert len(ids_of(ByteBpeTokenizer(VOCAB, MERGES, 64, truncation), text)) == 64


@pytest.mark.parametrize("length", [2, 3, 17, 512])
def test_other_lengths(library, length):
    for truncation in TRUNCATIONS:
        expected = expected_ids(library, "see you at the station", truncation, length)
        found = ids_of(ByteBpeTokenizer(VOCAB, MERGES, length, truncation), "see you at the station")
        assert found == expected


@pytest.mark.parametrize("text", [None, b"bytes", 3, ["a"]])
def test_only_strings_are_texts(tokenizer, text):
    with pytest.raises(TokenizerError, match="must be a string"):
        tokenizer.encode(text)


def test_unusable_files(tmp_path: Path):
    vocab, merges = tmp_path / "vocab.json", tmp_path / "merges.txt"
    shutil.copy(MERGES, merges)
    with pytest.raises(TokenizerError, match=r"vocab\.json: no such vocabulary"):
        ByteBpeTokenizer(vocab, merges, 64)
    pieces = json.loads(VOCAB.read_text(encoding="utf-8"))
    for content, message in (
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"[1]", "an object of pieces"),
        (json.dumps(pieces | {"more": 3}).encode(), "each once"),
        (json.dumps({key: value for key, value in pieces.items() if value < 15999}).encode(), None),
        (json.dumps({"<pad>": 0}).encode(), "lacks <s>"),
    ):
        vocab.write_bytes(content)
        with pytest.raises(TokenizerError, match=message or "merges.txt:.* is no pair of pieces"):
            ByteBpeTokenizer(vocab, merges, 64)
    for content, message in ((b"\xff", "not UTF-8"), (b"a b c\n", r"merges\.txt:1: 'a b c' is no pair")):
        merges.write_bytes(content)
        with pytest.raises(TokenizerError, match=message):
            ByteBpeTokenizer(VOCAB, merges, 64)
    with pytest.raises(TokenizerError, match="at least 2"):
        ByteBpeTokenizer(VOCAB, MERGES, 1)


def test_merges_with_windows_line_ends_are_the_same(tmp_path: Path, tokenizer):
    path = tmp_path / "merges.txt"
    path.write_bytes(MERGES.read_bytes().replace(b"\n", b"\r\n"))
    assert ids_of(ByteBpeTokenizer(VOCAB, path, 64), "Playing chess") == ids_of(tokenizer, "Playing chess")
