"""What the users of the training set are typing: the whole text, what stands there, and near misses."""

import random
import re
from bisect import bisect_left, insort
from dataclasses import dataclass

from calibration_data import CalibrationDataError
from calibration_data.generator.corpora import Text
from calibration_data.generator.names import device, email_address, person, random_digits, secret_number
from calibration_data.generator.phrases import phrases, pool
from calibration_data.generator.situations import EMAIL, LETTERS
from calibration_data.generator.splits import UNSEEN_SPLITS, may_be_typed, stable_number
from calibration_data.generator.styles import STYLES
from calibration_data.generator.supply import Supply, shown_in_train
from calibration_data.generator.writing import CLOSING, cut, finish, longer

# What kind of text goes into the field of a view; views that are not here ask for a name or a number.
FORM_OF_VIEW = {
    "chat/conversation": "talk", "mail/compose": "sentence",
    "feed/commenting": "talk", "feed/posting": "sentence",
    "notes/writing": "sentence", "notes/checklist": "phrase",
    "search/suggesting": "phrase", "search/results": "phrase", "search/mapped": "phrase",
    "settings/overview": "phrase", "shop/grid": "phrase",
}  # fmt: skip
# Where texts for a kind come from first, as patterns of their sources.
SOURCES_OF_KIND = {
    **dict.fromkeys(("chat", "mail", "feed", "notes"), r"project|wordnet|chatterbot"),
    "search": r"project|wordnet/noun\.(?!person|body)",
    "settings": r"project|homeassistant|django|uppy",
    "shop": r"project|wordnet/noun\.(artifact|food|plant|animal|substance)",
}
DIALOGUE_SHARE = 0.5
# Outside train so much is typed at least, or one "I" would keep out all texts that begin with it.
MIN_APART_BYTES = 8
# Letters of a text that are never typed yet.
LEFT_TO_TYPE = 3
MAX_ATTEMPTS = 200
_GENERATED = "project/generated"


@dataclass(frozen=True)
class Typed:
    """What is being typed on one screen.

    `typed` begins `target`; `siblings` are what users of the other styles would have made of the same `base`;
    `said` is what it answers, in a chat.
    """

    target: str
    typed: str
    base: str
    siblings: tuple[str, ...]
    group: str
    source: str
    language: str
    said: tuple[str, ...] = ()


class _Openings:
    """Keeps the texts of a pool apart: what is typed of one never begins another."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._typed: set[str] = set()

    def is_begun(self, text: str) -> bool:
        """Whether what is typed of another text begins `text` too."""
        whole = text.casefold()
        return any(whole[:end] in self._typed for end in range(1, len(whole) + 1))

    def begins_another(self, typed: str) -> bool:
        """Whether another text begins with `typed`."""
        position = bisect_left(self._texts, typed.casefold())
        return position < len(self._texts) and self._texts[position].startswith(typed.casefold())

    def add(self, text: str, typed: str) -> None:
        """Remember a text and what is typed of it."""
        insort(self._texts, text.casefold())
        self._typed.add(typed.casefold())


class Targets:
    """Gives every screen of a pool its text; in the unseen splits no two can be mistaken for each other.

    Args:
        supply: The pool's texts.
    """

    def __init__(self, supply: Supply) -> None:
        self.supply = supply
        self._elsewhere = shown_in_train(supply.cache) if supply.name == "test" else frozenset()
        self._openings = None if supply.name == "train" else _Openings()

    def letters(self, view: str, language: str, style: str, split: str, rng: random.Random) -> Typed:
        """A text that suits `view`, begun; in English where the language has none left.

        Raises:
            CalibrationDataError: There is no text left in English either.
        """
        if view not in FORM_OF_VIEW:
            return self.data(view, LETTERS, language, split, rng)
        form = FORM_OF_VIEW[view]
        for tongue in dict.fromkeys((language, "en")):
            for _ in range(MAX_ATTEMPTS):
                said, text = self._next(view, tongue, form, rng)
                if text is None:
                    break
                typed = self._begun(text.text, cut(text.text, tongue, rng), split, extend=True)
                if typed is None:
                    continue
                found = _styled(text, typed, said, style, split, rng, query=form == "phrase")
                if found.target.casefold() not in self._elsewhere:
                    return found
        raise CalibrationDataError(f"split {split}: no texts are left for {view}: ask for fewer screens")

    def _next(
        self, view: str, language: str, form: str, rng: random.Random
    ) -> tuple[tuple[str, ...], Text | None]:
        if view == "chat/conversation" and rng.random() < DIALOGUE_SHARE:
            dialogue = self.supply.take_dialogue(language)
            if dialogue is not None:
                return dialogue
        return (), self.supply.take(language, form, SOURCES_OF_KIND.get(view.split("/")[0], ""))

    def _begun(self, text: str, typed: str, split: str, *, extend: bool) -> str | None:
        """`typed`, made longer where it must and may be; None where `text` cannot be told from another."""
        apart = self._openings
        if apart is not None and apart.is_begun(text):
            return None
        while (
            not may_be_typed(typed, split)
            or (apart is not None and extend and len(typed.encode()) < MIN_APART_BYTES)
            or typed.casefold() in self._elsewhere
            or (apart is not None and apart.begins_another(typed))
        ):
            if len(typed) >= len(text) - LEFT_TO_TYPE or not extend:
                return None
            typed = longer(typed, text)
        if len(typed) >= len(text.rstrip(CLOSING)):
            return None
        if apart is not None:
            apart.add(text, typed)
        return typed

    def data(self, view: str, scene: str, language: str, split: str, rng: random.Random) -> Typed:
        """A name, an address or a number, begun: style changes nothing about it.

        Raises:
            CalibrationDataError: All that there are can be mistaken for others.
        """
        for _ in range(MAX_ATTEMPTS):
            target = _generated(view, scene, language, split, rng)
            if " " in target and scene == "number" and not view.startswith(("login", "shop")):
                ends = [index + 1 for index, char in enumerate(target[:-1]) if char.isdigit()]
                begun = target[: rng.choice(ends[-2:])]
            else:
                begun = cut(target, language, rng, data=True)
            typed = self._begun(target, begun, split, extend=False)
            if typed is not None:
                return Typed(target, typed, target, (), f"data/{target}", _GENERATED, language)
        raise CalibrationDataError(
            f"split {split}: no names or numbers are left for {view}: ask for fewer screens"
        )


def _styled(
    text: Text, typed: str, said: tuple[str, ...], style: str, split: str, rng: random.Random, *, query: bool
) -> Typed:
    ends = {name: finish(text.text, typed, name, text.language, split, rng, query=query) for name in STYLES}
    target = ends.pop(style)
    group = f"text/{stable_number(text.language + text.text):08x}"
    return Typed(target, typed, text.text, tuple(ends.values()), group, text.source, text.language, said)


def _generated(view: str, scene: str, language: str, split: str, rng: random.Random) -> str:
    if scene == EMAIL:
        return email_address(split, rng)
    if view == "login/register":
        return person(split, rng)
    if view == "settings/rename":
        return device(language, split, rng)
    if view in ("login/phone", "login/code", "settings/pin", "shop/checkout"):
        return secret_number(view, language, split, rng)
    words = phrases(language)
    kind = view.split("/")[0]
    lists = [words["search_numbers"]] if kind == "search" else words["numbers"].values()
    half = "parity" if split in UNSEEN_SPLITS else "calibration"
    sentence = rng.choice([sentence for sentences in lists for sentence in pool(sentences, half)])
    return re.sub(r"\d+", lambda found: random_digits(found[0], rng), sentence)
