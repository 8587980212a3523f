"""Texts for the tests on the JVM, with the ids that the Python runtime's tokenizers give them."""

import json
import random
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from android_demo.check import ROOT
from android_demo.check.work import write_lines
from runtime import bpe, tokenizer
from runtime.bundle import Bundle, file_sha256, select_files
from runtime.manifest import write_manifest
from runtime.session import ScreenEncoder
from runtime.tokenizers import open_tokenizer
from runtime.truncation import LEFT, TRUNCATIONS

VOCABULARIES = ROOT / "encoder" / "assets"
CASES = ROOT / "tests" / "data" / "tokenizer_cases.jsonl"
LENGTH = 64
_MADE = 2000
_SEED = 9
_PIECES = [
    " ", "  ", "\n", "\t ", "\u00a0", "\u3000", "'", "'s", "'re", "'LL", "\u2019t", "see", "You", "a", "é",
    "e\u0301", "ß", "ﬁ", "7", "½", "٣", "1234", ".", "...", "!?", "-", "_", "<", ">", "</", "[", "]", "##",
    "日", "日本語", "한국", "ไทย", "हिन्दी", "👍🏽", "👩\u200d👩\u200d👧", "🇩🇪", "\u200d", "\ufeff",
    "\x00", "\udfff", "x\ud800y", "<pa\udfffd>", "[S\udfffEP]",
]  # fmt: skip
_LIKE = ("", "a", " ", "7", "!")
"""What stands beside the characters at the borders of ranges: nothing, and each kind."""
_BORDERS_IN_TEXT = 10


class Source(NamedTuple):
    """Where a type of tokenizer comes from: its files in `VOCABULARIES`, its table and its special tokens."""

    files: dict[str, str]
    table: Path
    special: tuple[str, ...]


SOURCES = {
    "wordpiece": Source({"vocab": "vocab.txt"}, tokenizer.CHARACTERS, tokenizer.SPECIAL_TOKENS),
    "byte_bpe": Source(
        {"vocab": "byte_bpe/vocab.json", "merges": "byte_bpe/merges.txt"}, bpe.CHARACTERS, bpe.SPECIAL_TOKENS
    ),
}
_WHOLE = 1 << 17  # so many ids hold the longest word that byte-level BPE reads
_LONG = {
    "wordpiece": [("word ", 20_000, LENGTH), ("x", 100_000, LENGTH)],
    "byte_bpe": [
        ("see you ", 1_250_000, LENGTH), ("a", 10_000_000, LENGTH),
        ("日", 30_000, _WHOLE), ("ab", 40_000, _WHOLE), ("\u3000", 9_000, _WHOLE),
    ],
}  # fmt: skip
"""Units, how often they are repeated, and to how many ids they are cut."""


def sources() -> list[Path]:
    """The files that the texts and their ids come from."""
    files = [VOCABULARIES / name for source in SOURCES.values() for name in source.files.values()]
    return [CASES, Path(__file__), *files]


def write(folder: Path) -> None:
    """Lays out a folder for each type of tokenizer: its files, and texts.jsonl, a text and its ids a line.

    A text stands for "text" repeated "times" times, cut to "length" ids on the side of "truncation".
    """
    for kind, source in SOURCES.items():
        target = folder / kind
        target.mkdir(parents=True)
        for name in source.files.values():
            shutil.copyfile(VOCABULARIES / name, target / Path(name).name)
        write_lines(target / "texts.jsonl", _rows(kind))


def _rows(kind: str) -> Iterator[dict[str, Any]]:
    inputs = [(text, 1, LENGTH) for text in (*_cases(), *_borders(kind), *_mixtures(kind))]
    inputs += [("see you at the station", 1, length) for length in (2, 3, 17, 512)]
    inputs += _LONG[kind]
    opened: dict[tuple[int, str], Any] = {}
    for truncation, (text, times, length) in product(TRUNCATIONS, inputs):
        if (length, truncation) not in opened:
            entry = {"type": kind, "max_length": length, "truncation": truncation, **SOURCES[kind].files}
            opened[length, truncation] = open_tokenizer(entry, VOCABULARIES.joinpath)
        ids, mask = opened[length, truncation].encode(text * times)
        yield {
            "text": text, "times": times, "length": length, "truncation": truncation,
            "ids": ids[: mask.sum()].tolist(),
        }  # fmt: skip


def _cases() -> Iterator[str]:
    """The texts that the Python tokenizers are held against their references with."""
    for line in CASES.read_text(encoding="ascii").splitlines():
        yield json.loads(line)["text"]


def _borders(kind: str) -> Iterator[str]:
    """The first and last characters of a table's ranges, and those next to them, beside each kind."""
    codes = set()
    for line in SOURCES[kind].table.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            first, last = (int(code, 16) for code in line.split("\t")[:2])
            codes |= {first - 1, first, last, last + 1}
    points = [chr(code) for code in sorted(codes) if 0 <= code < 0x110000 and not 0xD800 <= code < 0xE000]
    for start in range(0, len(points), _BORDERS_IN_TEXT):
        for like in _LIKE:
            yield like.join(points[start : start + _BORDERS_IN_TEXT])


def _mixtures(kind: str) -> Iterator[str]:
    """Seeded mixtures of what a tokenizer tells apart."""
    chooser = random.Random(_SEED)
    pieces = [*_PIECES, *SOURCES[kind].special, *(token[:-1] for token in SOURCES[kind].special)]
    for _ in range(_MADE):
        yield "".join(chooser.choices(pieces, k=chooser.randrange(1, 24)))


def write_byte_bpe_bundle(bundle: Bundle, folder: Path, texts: list[str]) -> None:
    """Lays out the bundle's model with the byte-level BPE in place of the bundle's own tokenizer.

    Beside it, in embeddings.jsonl, is what the Python runtime makes of texts there; the model was taught with
    other ids, but this is about who computes it.
    """
    folder.mkdir()
    entry: dict[str, Any] = {"type": "byte_bpe", "max_length": bundle.text_max_length, "truncation": LEFT}
    files = dict(bundle.files)
    for key, name in SOURCES["byte_bpe"].files.items():
        path = folder / Path(name).name
        shutil.copyfile(VOCABULARIES / name, path)
        entry[key] = path.name
        files[path.name] = {"sha256": file_sha256(path), "bytes": path.stat().st_size}
    write_manifest(folder, bundle.manifest | {"tokenizer": entry, "files": files})
    for name in set(select_files(bundle.files, "tflite", "int8").values()):
        shutil.copyfile(bundle.path / name, folder / name)
    encoder = ScreenEncoder.load(folder)
    write_lines(
        folder / "embeddings.jsonl",
        ({"text": text, "embedding": encoder.text_embedding(text).tolist()} for text in texts),
    )
