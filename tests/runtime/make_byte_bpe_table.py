"""Writes runtime/byte_bpe_chars.tsv: the letters, digits and white space of GPT-2's and RoBERTa's pre-tokenizer.

Asking the `tokenizers` package for every code point pins its Unicode version, which differs from Python's and
Java's. Run: python -m tests.runtime.make_byte_bpe_table
"""

import os
from pathlib import Path

from tokenizers.pre_tokenizers import ByteLevel

from runtime.bpe import CHARACTERS

HEADER = """\
# Characters that byte-level BPE tells apart when it cuts a text into words: first, last, kind.
# A character not listed is another sign. All numbers hexadecimal.
# The classes of the regular expression of GPT-2. Written by tests/runtime/make_byte_bpe_table.py.
"""


def kind(splitter: ByteLevel, code: int) -> str | None:
    """The class of a code point: it makes one word with its like."""
    for name, like in (("letter", "a"), ("digit", "1"), (None, "!")):
        if len(splitter.pre_tokenize_str(like + chr(code))) == 1:
            return name
    return "space"


def table() -> str:
    """The whole file."""
    splitter = ByteLevel(add_prefix_space=False)
    ranges: list[list] = []
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000:
            continue
        name = kind(splitter, code)
        if name is None:
            continue
        if ranges and ranges[-1][1:] == [code - 1, name]:
            ranges[-1][1] = code
        else:
            ranges.append([code, code, name])
    return HEADER + "".join(f"{first:04X}\t{last:04X}\t{name}\n" for first, last, name in ranges)


def main() -> None:
    """Writes the file."""
    path = Path(CHARACTERS)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(table(), encoding="ascii")
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
