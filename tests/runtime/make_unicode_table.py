"""Writes runtime/wordpiece_chars.tsv: what BERT's uncased normalizer and pre-tokenizer do to each character.

The rules come from the `tokenizers` package, whose Unicode tables are older than Python's and differ from
Java's: asking it for every code point pins them. Run: python -m tests.runtime.make_unicode_table
"""

import os
from collections.abc import Iterator
from pathlib import Path

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from runtime.tokenizer import CHARACTERS, hangul_parts

HEADER = """\
# What each character becomes before WordPiece splits words at the spaces: first, last, action, text.
# drop: removed; space: a space; split: itself between two spaces; text: these code points.
# A character not listed stays; Hangul syllables are decomposed by their formula. All numbers hexadecimal.
# The rules of BERT's uncased normalizer and pre-tokenizer. Written by tests/runtime/make_unicode_table.py.
"""


def surveyed() -> Iterator[tuple[int, str]]:
    """Each code point but surrogates, and what the two stages make of it, words separated by spaces."""
    normalizer = BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True
    )
    splitter = BertPreTokenizer()
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000:
            text = normalizer.normalize_str(chr(code))
            # Letters around it keep the spaces at its ends.
            words = [word for word, _ in splitter.pre_tokenize_str(f"a{text}a")]
            yield code, " ".join(words)[1:-1]


def action(code: int, text: str) -> str | None:
    """The table's action for a code point, or None where it needs no line."""
    character = chr(code)
    if text in (character, hangul_parts(code)):
        return None
    names = {"": "drop", " ": "space", f" {character} ": "split"}
    return names.get(text) or "text\t" + " ".join(f"{ord(c):04X}" for c in text)


def table() -> str:
    """The whole file."""
    ranges: list[list] = [[0xD800, 0xDFFF, "drop"]]  # a lone surrogate is no character
    for code, text in surveyed():
        name = action(code, text)
        if name is None:
            continue
        if ranges[-1][1:] == [code - 1, name]:
            ranges[-1][1] = code
        else:
            ranges.append([code, code, name])
    return HEADER + "".join(f"{first:04X}\t{last:04X}\t{name}\n" for first, last, name in sorted(ranges))


def main() -> None:
    """Writes the file."""
    path = Path(CHARACTERS)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(table(), encoding="ascii")
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
