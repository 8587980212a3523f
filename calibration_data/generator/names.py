"""Invented names, addresses and numbers: those of the unseen splits are never in train."""

import json
import random
from functools import cache

from calibration_data.generator import GENERATOR
from calibration_data.generator.phrases import DOMAINS, phrases
from calibration_data.generator.splits import is_for_test, side


@cache
def _lists() -> dict:
    return json.loads((GENERATOR / "wordings" / "names.json").read_text(encoding="utf-8"))


def person(split: str, rng: random.Random) -> str:
    """A first and a last name."""
    names = _lists()[side(split)]
    return f"{rng.choice(names['first'])} {rng.choice(names['last'])}"


def email_address(split: str, rng: random.Random) -> str:
    """An address of a domain that is reserved for documentation."""
    first, last = person(split, rng).lower().split()
    local = rng.choice(
        (f"{first}.{last}", f"{first}_{last}", f"{first[0]}.{last}", f"{last}{first[0]}", f"{first}{last}")
    )
    return f"{local}@{rng.choice(DOMAINS)}"


def device(language: str, split: str, rng: random.Random) -> str:
    """What people call their phone: "Anna's blue tablet", and without grammar outside English."""
    words = _lists()["devices"][side(split)]
    first = rng.choice(_lists()[side(split)]["first"])
    thing = rng.choice(words["things"])
    if language == "en":
        return f"{first}'s {rng.choice(words['adjectives'])} {thing}"
    return f"{first} {thing} {rng.randint(2, 9)}"


def random_digits(digits: str, rng: random.Random) -> str:
    """Another number of as many digits; those of two are at most 23, so that times stay possible."""
    if len(digits) > 2:
        return str(rng.randint(1, 9)) + "".join(str(rng.randint(0, 9)) for _ in digits[1:])
    return f"{rng.randint(10, 23)}" if len(digits) == 2 else str(rng.randint(1, 9))


def _digits(count: int, split: str, rng: random.Random) -> str:
    while True:
        number = "".join(str(rng.randint(0, 9)) for _ in range(count))
        if is_for_test(number) == (side(split) == "test"):
            return number


def secret_number(view: str, language: str, split: str, rng: random.Random) -> str:
    """What a view asks for: a telephone number, a code, a PIN, a card or a postcode."""
    if view == "login/phone":
        country = phrases(language)["dial"].split()[0]
        return f"{country} {_digits(3, split, rng)} 555 01{rng.randint(10, 99)}"
    if view == "login/code":
        return _digits(6, split, rng)
    if view == "settings/pin":
        return _digits(4, split, rng)
    if rng.random() < 0.5:
        return _digits(5, split, rng)
    return " ".join(("4000", *(_digits(4, split, rng) for _ in range(3))))
