"""What is kept of a raw string: sentences and phrases that a person could read or type."""

import re
import unicodedata

MAX_CHARS = 160
# Placeholders, markup, addresses, paths, code and other traces of a program.
_MACHINE = re.compile(
    r"[{}<>\\|`=^~#*_\[\]@]|%[(a-zA-Z0-9]|\$\w|https?:|www\.|\w\.(?:com|org|net|io|json|ya?ml|py)\b"
    r"|\w/\w+/|::|--|\b0x[0-9a-f]+|[a-z][A-Z][a-z]+[A-Z]"
)
_SENTENCE_END = re.compile(
    r"(?<=[.!?…])\s+(?=[\"'“«¿¡(]?[A-ZÀ-ÖØ-ÞА-ЯЁ])|(?<=[。！？।؟])\s*|(?<=[.!])\s+(?=[\u0600-\u06ff\u0900-\u097f])"
)
# Sexual words and slurs, in the forms that occur in the packages.
_REFUSED = re.compile(
    r"\b(?:sex\w*|porn\w*|rap(?:e|ed|es|ist|ists|ing)|nude\w*|naked|penis\w*|vagina\w*|genital\w*|breasts?|intercourse"
    r"|prostitut\w*|whore\w*|slut\w*|bitch\w*|fuck\w*|shit\w*|cunt\w*|dick|cock|arse\w*|asshole\w*|bastard\w*"
    r"|erotic\w*|orgas\w*|masturbat\w*|copulat\w*|testic\w*|scrotum|semen|incest\w*|pedophil\w*|paedophil\w*"
    r"|nigg\w*|negro\w*|faggot\w*|fag|dyke|homosexual\w*|lesbian\w*|retard(?:ed|s)?|spastic\w*|kike\w*|chink\w*"
    r"|gook\w*|wog|squaw|tranny|hitler|nazi\w*|suicid\w*"
    r"|секс\w*|порно\w*|sexe|sexu\w*|puta|mierda|scheiß\w*|hure\w*|putain|merde)\b|セックス|性交|色情|सेक्स",
    re.IGNORECASE,
)
_SPACES = re.compile(r"\s+")


def sentences(raw: str) -> list[str]:
    """Sentences of a raw string, NFC and single-spaced, without those that `is_clean` refuses."""
    text = _SPACES.sub(" ", unicodedata.normalize("NFC", raw)).strip()
    return [part for part in map(str.strip, _SENTENCE_END.split(text)) if is_clean(part)]


def is_clean(text: str) -> bool:
    """Whether a text is short enough, made of words, free of placeholders and markup, and decent."""
    if len(text) > MAX_CHARS or not _long_enough(text) or _MACHINE.search(text) or _REFUSED.search(text):
        return False
    categories = [unicodedata.category(char) for char in text]
    # A joiner holds emoji and some scripts' letters together; other invisible characters are accidents.
    if any(kind in ("Cc", "Co", "Cs", "Cn") or (kind == "Cf" and char not in "\u200d\u200c")
           for kind, char in zip(categories, text, strict=True)):  # fmt: skip
        return False
    letters = sum(kind[0] in "LM" for kind in categories)
    return letters >= len(text) / 2 and text.count('"') % 2 == 0 and text.count("(") == text.count(")")


def _long_enough(text: str) -> bool:
    wide = sum(char >= "\u3040" for char in text)
    return len(text) + wide >= 4


def key(text: str) -> str:
    """What two texts have in common that say the same: case, spaces and punctuation are left out."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if unicodedata.category(char)[0] in "LMN") or folded
