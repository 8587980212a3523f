"""Texts that suit a screen: what may be typed there, and what stands there already."""

import random
import re
from collections import defaultdict
from pathlib import Path

from calibration_data import CalibrationDataError
from calibration_data.generator.corpora import CACHE, Text, dialogues, texts
from calibration_data.generator.corpora.clean import key
from calibration_data.generator.phrases import phrases, pool
from calibration_data.generator.plan import LANGUAGE_WEIGHTS
from calibration_data.generator.splits import is_for_validation
from calibration_data.generator.typed_text import UNSPACED_LANGUAGES

POOLS = ("train", "validation", "test")
# Fewest and most words (in Japanese and Chinese: characters) of each form of text.
FORMS = {"talk": (3, 12), "sentence": (5, 16), "phrase": (2, 6)}
_UNSPACED_FORMS = {"talk": (6, 28), "sentence": (10, 40), "phrase": (6, 16)}
# Lists of symbols' names read like nothing that anybody types.
_LEFT_OUT_SOURCES = ("emojibase",)
_UNSUITED = re.compile(r"[()\[\]:;\"“”«»<>…/\\0-9%&+]|\b[A-Z]{2,}\b")
# What nobody should be made to type, beyond what the corpora leave out already.
_REFUSED = re.compile(
    r"fellat|cunnil|sodom|copulat|\ban(?:al|us)\b|offensive|\bslur|disparag|derogat|murder|kill|suicid|corpse"
    r"|tortur|slave|terroris|\brape|molest|brothel|prostit|harlot|virgin|lewd|\blust|sexual|genit|pubic|bosom"
    r"|buttock|vulgar|obscen|\bgays?\b|\bjew|\bgypsy|\bgypsies|whore|drug|cocaine|heroin|drunk|opium|marijuana"
    r"|fornic|castrat|feces|\burin|excrem|defec|vomit|\bhell\b|\bdamn|\bpimp|hooker|homosex|erotic|naked|ejacul",
    re.IGNORECASE,
)
_OWN_SCRIPT = {
    "ru": "Ѐ-ӿ",
    "ja": "\u3040-\u30ff\u4e00-\u9fff",
    "zh": "\u4e00-\u9fff",
    "hi": "ऀ-ॿ",
    "ar": "\u0600-\u06ff",
}
_OWN_SCRIPT_SHARE = 0.7
_PERSONAL = re.compile(
    r"\b(?:i|i'm|you|you're|we|he|she|they|it's|my|your|our|his|her|me|us)\b", re.IGNORECASE
)
_END = ".!?。！？؟।"
# So many texts of a language and form there must be for them to be typed again.
_FEWEST_TO_REPEAT = 20
# Outside train no two texts begin with the same so many words (characters where there are no spaces).
_OPENING_WORDS, _OPENING_CHARS = 4, 8


def fits(text: str, language: str, form: str) -> bool:
    """Whether somebody might type `text`: a short phrase, a sentence, or something said to somebody."""
    length = len(text) if language in UNSPACED_LANGUAGES else len(text.split())
    low, high = (_UNSPACED_FORMS if language in UNSPACED_LANGUAGES else FORMS)[form]
    if not low <= length <= high or _UNSUITED.search(text) or _REFUSED.search(text):
        return False
    if language in _OWN_SCRIPT:
        letters = [char for char in text if char.isalpha()]
        own = re.findall(f"[{_OWN_SCRIPT[language]}]", text)
        if len(own) < _OWN_SCRIPT_SHARE * len(letters):
            return False
    if form == "phrase":
        return text[-1] not in _END
    if language != "en":
        return True
    said = bool(_PERSONAL.search(text))
    return said if form == "talk" else said or text[-1] in _END


def _own_texts(split: str) -> list[Text]:
    """What is typed on the committed screens of a split, in every language."""
    found = []
    for language in LANGUAGE_WEIGHTS:
        words = phrases(language)
        typed = [item["reply"] for item in pool(words["chat"], split)]
        typed += [item["target"] for name in ("drafts", "notes") for item in pool(words[name], split)]
        typed += [item["comment"] for item in pool(words["feed"], split)]
        typed += [item["query"] for item in pool(words["search"], split)]
        typed += [text for name in ("shop_queries", "settings") for text in pool(words[name], split)]
        found += [Text(text, language, f"project/{split}") for text in typed]
    return found


def _pool_texts(name: str, cache: Path) -> list[Text]:
    if name == "test":
        return _own_texts("parity") + texts("test", cache)
    everything = _own_texts("calibration") + texts("train", cache)
    return [item for item in everything if is_for_validation(item.text) == (name == "validation")]


def shown_in_train(cache: Path = CACHE) -> frozenset[str]:
    """Every text that screens of training may show, in lower case."""
    shown = {item.text.casefold() for item in _own_texts("calibration") + texts("train", cache)}
    return frozenset(shown | {turn.casefold() for item in dialogues("train", cache) for turn in item.turns})


class Supply:
    """The texts of one pool: `take` gives one to type, `show` some to stand on a screen.

    Args:
        name: One of POOLS. No text is in two of them.
        seed: Of the order.
        cache: Where the corpora are kept.
    """

    def __init__(self, name: str, seed: int, cache: Path = CACHE) -> None:
        self.name, self.cache = name, cache
        self._rng = random.Random(f"supply/{name}/{seed}")
        self._texts: dict[str, list[Text]] = defaultdict(list)
        for item in _pool_texts(name, cache):
            if not item.source.startswith(_LEFT_OUT_SOURCES):
                self._texts[item.language].append(item)
        self._dialogues: dict[str, list] = defaultdict(list)
        for item in dialogues("test" if name == "test" else "train", cache):
            if name == "test" or is_for_validation(item.turns[-1]) == (name == "validation"):
                self._dialogues[item.language].append(item)
        for items in self._dialogues.values():
            self._rng.shuffle(items)
        self._queues: dict[tuple[str, str, str], list[Text]] = {}
        self._repeated: dict[tuple[str, str], list[Text]] = {}
        self._shown: dict[tuple[str, str], list[str]] = {}
        self._used: set[str] = set()

    def _new(self, text: str, language: str) -> bool:
        """Whether `text` was not taken yet; outside train, nor one that begins alike."""
        opening = (
            text[:_OPENING_CHARS]
            if language in UNSPACED_LANGUAGES
            else " ".join(text.split()[:_OPENING_WORDS])
        )
        name = f"{language}/{key(text if self.name == 'train' else opening)}"
        if name in self._used:
            return False
        self._used.add(name)
        return True

    def _fitting(self, language: str, form: str, sources: str = "") -> list[Text]:
        texts = (item for item in self._texts[language] if re.match(sources, item.source))
        fitting = [item for item in texts if fits(item.text, language, form)]
        self._rng.shuffle(fitting)
        return fitting

    def take(self, language: str, form: str, sources: str = "") -> Text | None:
        """A text to be typed, of `sources` (a pattern) while there are any; None where all have been."""
        for pattern in dict.fromkeys((sources, "")):
            name = (language, form, pattern)
            if name not in self._queues:
                self._queues[name] = self._fitting(*name)
            queue = self._queues[name]
            while queue:
                item = queue.pop()
                if self._new(item.text, language):
                    return item
        return self._again(language, form)

    def _again(self, language: str, form: str) -> Text | None:
        """In train, a text that was typed before: other users finish it in other ways."""
        if self.name != "train":
            return None
        if (language, form) not in self._repeated:
            self._repeated[language, form] = self._fitting(language, form)
        again = self._repeated[language, form]
        return self._rng.choice(again) if len(again) >= _FEWEST_TO_REPEAT else None

    def take_dialogue(self, language: str) -> tuple[tuple[str, ...], Text] | None:
        """What was said, and the answer to be typed; None where all have been."""
        queue = self._dialogues[language]
        while queue:
            item = queue.pop()
            reply = item.turns[-1]
            suits = fits(reply, language, "sentence") or fits(reply, language, "talk")
            if suits and self._new(reply, language):
                return item.turns[:-1], Text(reply, language, item.source)
        return None

    def show(self, language: str, form: str, count: int, rng: random.Random) -> list[str]:
        """`count` texts to stand on a screen; English ones where the language has too few.

        Raises:
            CalibrationDataError: English has too few.
        """
        if (language, form) not in self._shown:
            self._shown[language, form] = [
                item.text for item in self._texts[language] if fits(item.text, language, form)
            ]
        found = self._shown[language, form]
        if len(found) < 2 * count and language != "en":
            return self.show("en", form, count, rng)
        if len(found) < count:
            raise CalibrationDataError(
                f"the corpora have {len(found)} texts of form {form}: {count} are shown"
            )
        return rng.sample(found, count)
