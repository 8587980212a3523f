"""How people of a style end what they write, and where in a text they are when the screen is taken."""

import json
import random
from functools import cache

from calibration_data.generator import GENERATOR
from calibration_data.generator.splits import is_for_test, paraphrases_for, side
from calibration_data.generator.styles import STYLES
from calibration_data.generator.typed_text import UNSPACED_LANGUAGES, safe_cut

FULL_STOPS = " .。।…"
# Punctuation that an ending begins with, left out after a question or an exclamation.
_JOINTS, _CLOSED = ".,。，、।،", "?!？！؟"
CLOSING = FULL_STOPS + _CLOSED
SHORT_START = 0.12
SHARE_TYPED, SHARE_OF_DATA_TYPED = (0.25, 0.9), (0.55, 0.9)
_MIN_TYPED = 2
_LEFT_OUT = {
    "en": {"a", "an", "the", "of", "that", "to", "my", "this", "very", "is", "are", "and"},
    "de": {"der", "die", "das", "ein", "eine", "einen", "dem", "den", "sehr", "und"},
    "es": {"el", "la", "los", "las", "un", "una", "de", "muy", "y"},
    "fr": {"le", "la", "les", "un", "une", "des", "de", "très", "et"},
}


@cache
def endings() -> dict:
    """The endings of wordings/endings.json: language -> style -> whose words -> list."""
    return json.loads((GENERATOR / "wordings" / "endings.json").read_text(encoding="utf-8"))


def cut(base: str, language: str, rng: random.Random, *, data: bool = False) -> str:
    """What of `base` is typed: a quarter to nine tenths, now and then just a word or two.

    Args:
        base: What will have been written, before any ending.
        language: Of `base`; words are counted where it has spaces.
        rng: Source of all choices.
        data: `base` is a number, a name or an address: more of it is typed, since its beginning says little.
    """
    words = base.split(" ")
    if not data and language not in UNSPACED_LANGUAGES and len(words) > 3 and rng.random() < SHORT_START:
        return " ".join(words[: rng.randint(1, 2)])
    share = rng.uniform(*(SHARE_OF_DATA_TYPED if data else SHARE_TYPED))
    position = max(_MIN_TYPED, round(len(base) * share))
    return base[: safe_cut(base, min(position, len(base) - 1))].rstrip()


def longer(typed: str, base: str) -> str:
    """One letter more of `base` than `typed`; all of it at the end."""
    position = len(typed) + 1
    while base[position - 1 : position].isspace():
        position += 1
    return base[: safe_cut(base, position)]


def smileys(split: str, rng: random.Random) -> str:
    """One to three smileys; rows that test uses are never in train."""
    while True:
        row = rng.choice(("", " ")).join(rng.sample(endings()["smileys"], rng.randint(1, 3)))
        if is_for_test(row) == (side(split) == "test"):
            return row


def _stopped_early(base: str, typed: str, language: str) -> str:
    """`base` in few words: little words are left out after `typed`, and it ends before its end."""
    whole = base.rstrip(CLOSING)
    if language in UNSPACED_LANGUAGES:
        return whole[: max(len(typed) + 2, len(whole) - 3)]
    current, *rest = whole[len(typed) :].split(" ")
    kept = [word for word in rest if word.lower() not in _LEFT_OUT.get(language, ())]
    if len(kept) > 2:
        kept.pop()
    short = " ".join([typed + current, *kept]).rstrip(",; ")
    return short if len(short) > len(typed) else whole


def _joined(base: str, ending: str) -> str:
    if ending[0] in _JOINTS and base[-1] in _CLOSED:
        return base + ending[1:]
    return base + ending


def finish(
    base: str, typed: str, style: str, language: str, split: str, rng: random.Random, *, query: bool
) -> str:
    """What a user of `style` makes of `base`, of which `typed` stands there already.

    Args:
        base: The text without any style.
        typed: Its beginning; the result begins with it.
        style: One of STYLES.
        language: Of `base`.
        split: The unseen splits have endings of their own.
        rng: Source of all choices.
        query: `base` is a short English phrase to search for.

    Raises:
        ValueError: `style` is not one of STYLES.
    """
    if style not in STYLES:
        raise ValueError(f"unknown style {style!r}; valid styles: {', '.join(STYLES)}")
    if style == "terse":
        return _stopped_early(base, typed, language)
    whole = base.rstrip(FULL_STOPS)
    if style == "emoji":
        return f"{whole} {smileys(split, rng)}"
    choices = endings()["query" if query and language == "en" else language]
    return _joined(whole, rng.choice(choices[style][paraphrases_for(split)]))


def styled_action(action: str, style: str, split: str, rng: random.Random) -> str:
    """An action ("open the first conversation") in the words of a user of `style`."""
    if style == "terse":
        left_out = _LEFT_OUT["en"] - {"of", "to", "that"}
        return " ".join(word for word in action.split() if word not in left_out)
    if style == "emoji":
        return f"{action} {smileys(split, rng)}"
    return rng.choice(endings()["actions"][style][paraphrases_for(split)]).format(action)
