"""Writes tests/data/tokenizer_cases.jsonl: texts and the ids that transformers' BertTokenizerFast gives them.

Every implementation of the tokenizer is tested on them. Run: python -m tests.runtime.make_tokenizer_cases
"""

import json
import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from transformers import BertTokenizerFast

ROOT = Path(__file__).parents[2]
VOCAB = ROOT / "encoder" / "assets" / "vocab.txt"
CASES = ROOT / "tests" / "data" / "tokenizer_cases.jsonl"
LONE_SURROGATE = re.compile("[\ud800-\udfff]")

WRITTEN = [
    "", " ", "\n", "see you at", "See You At The Station!", "don't — won't", "it's 5:30pm, isn't it?",
    "https://example.org/a/b?q=1&r=%20#top", "www.test-site.co.uk/path_to/file.tar.gz", "someone+tag@mail.example",
    "naïve café résumé Ångström ÀÉÎÕÜ", "e\u0301 o\u0308 n\u0303 a\u030a\u0301", "İstanbul ıssız ΣΊΣΥΦΟΣ ß ẞ ﬁ ǅ",
    "我喜欢编程", "東京タワーへ行きたい", "한국어 자판", "ｆｕｌｌ　ｗｉｄｔｈ！", "豈 更 車 \U0002f800 \U00020000\u3400",
    "مرحبا بالعالم", "שָׁלוֹם עולם", "हिन्दी में लिखें", "สวัสดีชาวโลก", "Привет, Ёлка й", "Ελληνικά ώ",
    "Tiếng Việt có dấu", "👩‍👩‍👧‍👦 family", "👍🏽 ok 🇩🇪🇯🇵", "❤️ ❤ ☺️", "🏴\U000e0067\U000e0062\U000e007f", "a👨‍🚀b",
    "tab\tnew\nline\rreturn\x0bvertical\x0cform", "nul\x00 bell\x07 del\x7f nel\x85x", "zero\u200bwidth\u200djoin\ufeffbom",
    "nbsp\u00a0narrow\u202fideographic\u3000end", "line\u2028paragraph\u2029end", "soft\u00adhyphen", "\u202ertl\u202c",
    "[CLS] [SEP] [MASK] [PAD] [UNK]", "a[SEP]b[mask]", "[CLS", "[ CLS ]", "##ing ing ##", "x" * 100, "x" * 101,
    "a" * 99 + "é", "a" * 100 + "\u0301", "!?.,;:'\"()[]{}<>@#$%^&*-_=+\\|/`~", "«quoted» „low“ ‹x› 「日」", "€5 £3 ¥9 ₹7 50% ½ ²",
    "a" * 500, "word " * 2000, "see you at the station " * 60 + "tomorrow", "unaffable" * 90, "don't " * 300, "é!" * 700,
    "antidisestablishmentarianism " * 40, "日本語。" * 900, "x " * 61 + "unaffableness", "[SEP]<s>" * 90 + "[MASK", "🇩🇪🇯🇵" * 99, "é" * 5000, "\u0301" * 300, "日" * 3400, "👩‍👩‍👧‍👦" * 400, "\u200b" * 3000 + "end",
    "\ud800", "lone \udc00 surrogate", "pair\ud83dbroken", "\udfffx\ud800", "\ufffd replaced", "\ue000 private \U0010ffff",
    "\u0378 unassigned \U0001fae9 \U0001faf8 new", "\u1e9e \u1c90 \u10a0 \ua64a \U00010400 \U0001e900", "ﷺ ㍿ ㈱ ℡",
]  # fmt: skip


def written_and_made() -> Iterator[str]:
    """The same texts every time: those above, then seeded mixtures."""
    yield from WRITTEN
    chooser = random.Random(20)
    words = [line.removeprefix("##") for line in VOCAB.read_text(encoding="utf-8").split("\n") if line]
    makers = (_sentence, _glued, _accented, _any_characters, _low_characters, _east_asian, _emoji, _url)
    for number in range(2400):
        yield makers[number % len(makers)](chooser, words)
    for _ in range(120):
        yield " ".join(maker(chooser, words) for maker in chooser.choices(makers, k=16))


def _sentence(chooser: random.Random, words: list[str]) -> str:
    chosen = [chooser.choice(words) for _ in range(chooser.randrange(1, 12))]
    return " ".join(chooser.choice((str.lower, str.upper, str.title))(word) for word in chosen)


def _glued(chooser: random.Random, words: list[str]) -> str:
    return "".join(chooser.choice(words) for _ in range(chooser.randrange(2, 5)))


def _accented(chooser: random.Random, words: list[str]) -> str:
    marks = [chr(chooser.randrange(0x300, 0x370)) for _ in range(8)]
    return "".join(letter + chooser.choice(("", *marks)) for letter in _sentence(chooser, words)[:40])


def _any_characters(chooser: random.Random, words: list[str]) -> str:
    return "".join(chr(chooser.randrange(0x110000)) for _ in range(chooser.randrange(1, 10)))


def _low_characters(chooser: random.Random, words: list[str]) -> str:
    return "".join(chr(chooser.randrange(0x3100)) for _ in range(chooser.randrange(1, 25)))


def _east_asian(chooser: random.Random, words: list[str]) -> str:
    blocks = (
        (0x4E00, 0xA000),
        (0x3040, 0x3100),
        (0xAC00, 0xD7A4),
        (0xFF00, 0xFFF0),
        (0xF900, 0xFB00),
        (0x20, 0x7F),
    )
    return "".join(chr(chooser.randrange(*chooser.choice(blocks))) for _ in range(chooser.randrange(1, 25)))


def _emoji(chooser: random.Random, words: list[str]) -> str:
    parts = [chr(chooser.randrange(0x1F300, 0x1FB00)) for _ in range(4)] + [
        "\u200d",
        "\ufe0f",
        "\U0001f3fd",
        " ",
    ]
    return "".join(chooser.choice([*parts, chooser.choice(words)]) for _ in range(chooser.randrange(1, 15)))


def _url(chooser: random.Random, words: list[str]) -> str:
    joints = ("/", ".", "?q=", "&", "#", "-", "_", "%C3%A9", ":8080/", "@", "=")
    tail = "".join(chooser.choice(joints) + chooser.choice(words) for _ in range(chooser.randrange(1, 8)))
    return f"{chooser.choice(('https://', 'http://www.', 'ftp://', ''))}{chooser.choice(words)}{tail}"


def reference() -> BertTokenizerFast:
    """The tokenizer to be equal to, over the project's vocabulary."""
    return BertTokenizerFast(vocab_file=str(VOCAB), do_lower_case=True)


def expected_ids(
    tokenizer: BertTokenizerFast, text: str, truncation: str = "left", length: int = 64
) -> list[int]:
    """Its ids, cut to a length, without padding. It refuses lone surrogates, which are dropped."""
    found = tokenizer(LONE_SURROGATE.sub("", text)).encodings[0]
    return cut(found.ids, found.word_ids, truncation, length)


def cut(ids: list[int], words: list[int | None], truncation: str, length: int) -> list[int]:
    """Cuts ids to a length: on the left from a word's beginning, where one is among the next eight pieces.

    Args:
        ids: start, pieces, end.
        words: the number of each one's word, as the `tokenizers` library counts them; None for special tokens.
        truncation: "left" or "right".
        length: of what is returned, at most.
    """
    surplus = len(ids) - length
    if surplus <= 0:
        return ids
    if truncation == "right":
        return [*ids[: length - 1], ids[-1]]
    first = 1 + surplus
    for place in range(first, min(first + 9, len(ids) - 1)):
        if words[place] is None or words[place] != words[place - 1]:
            first = place
            break
    return [ids[0], *ids[first:]]


def write_cases(path: Path, expected: Callable[[str, str], list[int]]) -> None:
    """Writes the texts' ids as they are cut on the left, and on the right where those are others."""
    lines = []
    for text in written_and_made():
        case = {"text": text, "ids": expected(text, "left")}
        right = expected(text, "right")
        lines.append(
            json.dumps(case | ({"right": right} if right != case["ids"] else {}), separators=(",", ":"))
        )
    temporary = path.with_suffix(".tmp")
    temporary.write_text("\n".join(lines) + "\n", encoding="ascii")
    os.replace(temporary, path)


def main() -> None:
    """Writes the file."""
    tokenizer = reference()
    write_cases(CASES, lambda text, truncation: expected_ids(tokenizer, text, truncation))


if __name__ == "__main__":
    main()
