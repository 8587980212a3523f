"""Half-typed text: where a user stopped in what they are about to write."""

import random
import unicodedata

UNSPACED_LANGUAGES = ("ja", "zh")
MIN_TYPED_CHARS = 2


def safe_cut(text: str, position: int) -> int:
    """The first place at or after `position` that does not tear a letter from its marks or an emoji apart."""
    while position < len(text):
        char, before = text[position], text[position - 1] if position else ""
        joined = (
            unicodedata.category(char).startswith("M") or "\u200d" in (char, before) or before == "\u094d"
        )
        if not joined:
            break
        position += 1
    return position


def half_typed(target: str, rng: random.Random) -> str:
    """A beginning of `target`: from a third to nine tenths of it, often in the middle of a word."""
    share = rng.uniform(0.34, 0.92)
    position = max(MIN_TYPED_CHARS, round(len(target) * share))
    return target[: safe_cut(target, position)].rstrip()


def half_typed_number(target: str, rng: random.Random) -> str:
    """A beginning of `target` that ends in a digit: the digit keys are up because one was just typed."""
    ends = [index + 1 for index, char in enumerate(target) if char.isdigit()]
    return target[: rng.choice(ends)] if ends else target


def next_words(typed: str, target: str, language: str) -> list[str]:
    """What a keyboard would suggest: the current word completed and the words after it, three at most."""
    if language in UNSPACED_LANGUAGES:
        rest = target[len(typed) :]
        parts = (rest[:2], rest[:4], typed[-1:] + rest[:1], typed[-2:] + rest[:1])
        return list(dict.fromkeys(part.strip() for part in parts if part.strip()))[:3]
    words = target.split()
    done = max(len(typed.split()) - 1, 0)
    strip = ",.!?;:。"
    return [word.strip(strip) for word in words[done : done + 3] if word.strip(strip)]
