"""Which screens to draw: a seeded plan that spreads every pair of properties evenly."""

import random
from collections import Counter
from dataclasses import dataclass
from itertools import combinations, product

KINDS = ("chat", "mail", "search", "login", "settings", "feed", "shop", "notes")
KITS = ("framework7", "onsenui")
LOOKS = ("ios", "material")
SPLITS = {"calibration": 72, "parity": 32}

# How often a value should occur, relative to the others of its property.
KEYBOARD_WEIGHTS = {"letters": 2, None: 1, "digits": 1, "email": 1}
LANGUAGE_WEIGHTS = {"en": 3, "de": 1, "es": 1, "fr": 1, "ja": 1, "zh": 1, "ar": 1, "hi": 1, "ru": 1}


# Against the cost of an uneven pair: a layout that any split has already is taken only if there is no other.
REPEATED_LAYOUT_COST = 20.0


@dataclass(frozen=True)
class Screen:
    """The properties of one screen, before any content is chosen."""

    id: str
    split: str
    kind: str
    kit: str
    look: str
    dark: bool
    keyboard: str | None
    language: str


def _candidates() -> list[dict]:
    """Every combination of the properties but the kind."""
    names = ("kit", "look", "dark", "keyboard", "language")
    values = product(KITS, LOOKS, (False, True), KEYBOARD_WEIGHTS, LANGUAGE_WEIGHTS)
    return [dict(zip(names, combination, strict=True)) for combination in values]


def _weight(name: str, value) -> float:
    if name == "keyboard":
        return KEYBOARD_WEIGHTS[value]
    if name == "language":
        return LANGUAGE_WEIGHTS[value]
    return 1.0


def _pairs(properties: dict) -> list[tuple]:
    """The single properties and the pairs and the kit-look-dark triple whose counts stay even."""
    names = list(properties)
    groups = [(name,) for name in names] + list(combinations(names, 2)) + [("kit", "look", "dark")]
    return [tuple((name, properties[name]) for name in group) for group in groups]


def _cost(counts: Counter, properties: dict) -> float:
    total = 0.0
    for pair in _pairs(properties):
        share = 1.0
        for name, value in pair:
            share *= _weight(name, value)
        total += (4.0 if len(pair) == 1 else 1.0) * counts[pair] / share
    return total


def _layout(kind: str, properties: dict) -> tuple:
    """What decides most of a screen's picture: two screens of one layout look alike but for their texts."""
    return (kind, *(properties[name] for name in ("kit", "look", "dark", "keyboard")))


def plan_screens(counts: dict[str, int] | None = None, seed: int = 0) -> list[Screen]:
    """Plan the screens of every split, the kinds in turn, everything else as even as it can be.

    Args:
        counts: Number of screens per split; the committed set's by default.
        seed: Chooses among combinations that are equally even.

    Returns:
        The screens, split by split, with ids that are unique over all splits.
    """
    rng = random.Random(f"plan/{seed}")
    per_kind: Counter = Counter()
    looks_everywhere: Counter = Counter()
    screens = []
    for split, count in (counts or SPLITS).items():
        used: Counter = Counter()
        for index in range(count):
            kind = KINDS[index % len(KINDS)]
            candidates = _candidates()
            rng.shuffle(candidates)

            def cost(properties: dict, kind: str = kind, used: Counter = used) -> float:
                again = looks_everywhere[_layout(kind, properties)]
                return _cost(used, {"kind": kind, **properties}) + REPEATED_LAYOUT_COST * again

            best = min(candidates, key=cost)
            looks_everywhere[_layout(kind, best)] += 1
            used.update(_pairs({"kind": kind, **best}))
            per_kind[kind] += 1
            screens.append(Screen(id=f"{kind}-{per_kind[kind]:04d}", split=split, kind=kind, **best))
    return screens
