"""The tokenizer against transformers' BertTokenizerFast."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from runtime.tokenizer import SPECIAL_TOKENS, WordPieceTokenizer, _characters
from runtime.truncation import TRUNCATIONS, TokenizerError
from tests.runtime.make_tokenizer_cases import CASES, VOCAB, expected_ids, reference, written_and_made

BLOCK = 4096


@pytest.fixture(scope="module")
def tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer(VOCAB, 64)


@pytest.fixture(scope="module")
def transformers_tokenizer():
    return reference()


def ids_of(tokenizer: WordPieceTokenizer, text: str) -> list[int]:
    """The ids without padding, after checking the padding."""
    input_ids, attention_mask = tokenizer.encode(text)
    assert input_ids.dtype == attention_mask.dtype == np.int32
    assert input_ids.shape == attention_mask.shape == (tokenizer.max_length,)
    length = int(attention_mask.sum())
    assert attention_mask[:length].all() and not input_ids[length:].any()
    return input_ids[:length].tolist()


def test_the_committed_cases_come_out_the_same(tokenizer):
    cases = [json.loads(line) for line in CASES.read_text(encoding="ascii").splitlines()]
    assert len(cases) >= 2000 and sum("right" in case for case in cases) >= 10
    right = WordPieceTokenizer(VOCAB, 64, "right")
    for case in cases:
        assert ids_of(tokenizer, case["text"]) == case["ids"], case["text"]
        assert ids_of(right, case["text"]) == case.get("right", case["ids"]), case["text"]


def test_the_committed_cases_are_what_transformers_gives(transformers_tokenizer):
    cases = [json.loads(line) for line in CASES.read_text(encoding="ascii").splitlines()]
    assert [case["text"] for case in cases] == list(written_and_made())
    for case in cases:
        assert expected_ids(transformers_tokenizer, case["text"]) == case["ids"], case["text"]
        right = expected_ids(transformers_tokenizer, case["text"], "right")
        assert right == case.get("right", case["ids"]), case["text"]


def test_every_code_point_is_treated_as_the_reference_treats_it():
    normalizer, splitter = BertNormalizer(lowercase=True), BertPreTokenizer()
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(codes), BLOCK):
        text = "a".join(map(chr, codes[start : start + BLOCK]))
        expected = [word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))]
        assert [word for word in text.translate(_characters()).split(" ") if word] == expected, hex(
            codes[start]
        )


@settings(max_examples=600, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
@example("\u1100\u1161\u11a8 각")
@example("q\u0323\u0307 \u1e9b\u0323")
@example("\U0001d165\U0001d16d\U0001d15f\u302e")
def test_any_text_comes_out_the_same(tokenizer, transformers_tokenizer, text):
    assert ids_of(tokenizer, text) == expected_ids(transformers_tokenizer, text)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*SPECIAL_TOKENS, "##s", "un", "play", "ing", " ", "é", ".", "[", "]", "日", "\u200d"]
        )
    )
)
def test_pieces_and_special_tokens_in_any_order(tokenizer, transformers_tokenizer, parts):
    text = "".join(parts)
    assert ids_of(tokenizer, text) == expected_ids(transformers_tokenizer, text)


def test_lone_surrogates_are_dropped(tokenizer):
    assert ids_of(tokenizer, "see\ud800 you\udfff") == ids_of(tokenizer, "see you")


def test_a_text_of_ten_megabytes_is_cut():
    for truncation in TRUNCATIONS:
        assert len(ids_of(WordPieceTokenizer(VOCAB, 64, truncation), "see you " * 1_250_000)) == 64


def test_other_lengths(transformers_tokenizer):
    for length in (2, 3, 17, 512):
        for truncation in TRUNCATIONS:
            expected = expected_ids(transformers_tokenizer, "see you at the station", truncation, length)
            found = ids_of(WordPieceTokenizer(VOCAB, length, truncation), "see you at the station")
            assert found == expected


@pytest.mark.parametrize("text", [None, b"bytes", 3, ["a"]])
def test_only_strings_are_texts(tokenizer, text):
    with pytest.raises(TokenizerError, match="must be a string"):
        tokenizer.encode(text)


def test_unusable_vocabularies(tmp_path: Path):
    path = tmp_path / "vocab.txt"
    with pytest.raises(TokenizerError, match="cannot be read"):
        WordPieceTokenizer(path, 64)
    for content, message in (
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n", r"lacks \[MASK\]"),
        ("\n".join([*SPECIAL_TOKENS, "a", "b", "a"]).encode(), "'a' twice"),
        (b"\xff\xfe", "not UTF-8"),
    ):
        path.write_bytes(content)
        with pytest.raises(TokenizerError, match=message):
            WordPieceTokenizer(path, 64)
    with pytest.raises(TokenizerError, match="at least 2"):
        WordPieceTokenizer(VOCAB, 1)


def test_a_vocabulary_with_windows_line_ends_is_the_same(tmp_path: Path, tokenizer):
    path = tmp_path / "vocab.txt"
    path.write_bytes(VOCAB.read_bytes().replace(b"\n", b"\r\n"))
    assert ids_of(WordPieceTokenizer(path, 64), "Playing chess") == ids_of(tokenizer, "Playing chess")
