"""The texts on the screens: one file a language below phrases/, all written for this project."""

import json
from functools import cache

from calibration_data.generator import GENERATOR

# Of every three documents (a dialogue, a letter, a note) the third belongs to the parity screens alone.
PARITY_EVERY = 3

HANDLES = (
    *("maya.lind", "tom.okafor", "priya.shah", "leo_martins", "hannah.cole", "s.whitaker", "nina.b"),
    *("oscar.reyes", "ella.novak", "bcastillo", "ruth.a", "jonas.weber", "ivychen", "support", "team.garden"),
    *("hello", "anna.k", "marco_rossi", "k.tanaka", "li.wei", "fatima.z", "olga.petrova", "claire.dubois"),
    *("pablo.ruiz", "j.mueller", "arjun.mehta", "s.haddad", "yuki.sato", "elena.v", "lucas.m"),
)
DOMAINS = (
    "example.com",
    "example.org",
    "example.net",
    "mail.example.com",
    "studio.example.org",
    "post.example.net",
)
APPS = ("Fernweh", "Tidepool", "Kestrel", "Mosaik", "Papaya", "Northbeam", "Lumo", "Orchard")


@cache
def phrases(language: str) -> dict:
    """All texts of one language.

    Raises:
        ValueError: There is no file for `language`.
    """
    path = GENERATOR / "phrases" / f"{language}.json"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.json")))
        raise ValueError(f"no phrases for language {language!r}; there are: {known}")
    return json.loads(path.read_text(encoding="utf-8"))


def pool(items: list, split: str) -> list:
    """The documents that `split` may use: no document is in both splits."""
    parity = split == "parity"
    return [item for index, item in enumerate(items) if (index % PARITY_EVERY == PARITY_EVERY - 1) == parity]


def handles(split: str) -> list[str]:
    """E-mail addresses (of domains reserved for documentation) that `split` may use."""
    return [
        f"{name}@{DOMAINS[index % len(DOMAINS)]}" for index, name in enumerate(pool(list(HANDLES), split))
    ]
