"""Writes tests/data/byte_bpe_cases.jsonl: texts and the ids that the `tokenizers` library gives them.

The texts are those of the WordPiece cases. Run: python -m tests.runtime.make_byte_bpe_cases
"""

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import RobertaProcessing

from runtime.bpe import SPECIAL_TOKENS
from tests.runtime.make_tokenizer_cases import LONE_SURROGATE, ROOT, cut, write_cases

FOLDER = ROOT / "encoder" / "assets" / "byte_bpe"
VOCAB, MERGES = FOLDER / "vocab.json", FOLDER / "merges.txt"
CASES = ROOT / "tests" / "data" / "byte_bpe_cases.jsonl"


def reference() -> Tokenizer:
    """RoBERTa's tokenizer over the project's vocabulary, put together from the library's own parts."""
    tokenizer = Tokenizer(BPE.from_file(str(VOCAB), str(MERGES)))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL_TOKENS])
    start, end = (tokenizer.token_to_id(token) for token in ("<s>", "</s>"))
    tokenizer.post_processor = RobertaProcessing(("</s>", end), ("<s>", start), add_prefix_space=False)
    return tokenizer


def expected_ids(tokenizer: Tokenizer, text: str, truncation: str = "left", length: int = 64) -> list[int]:
    """Its ids, cut to a length, without padding. It refuses lone surrogates, which are dropped."""
    found = tokenizer.encode(LONE_SURROGATE.sub("", text))
    return cut(found.ids, found.word_ids, truncation, length)


def main() -> None:
    """Writes the file."""
    tokenizer = reference()
    write_cases(CASES, lambda text, truncation: expected_ids(tokenizer, text, truncation))


if __name__ == "__main__":
    main()
