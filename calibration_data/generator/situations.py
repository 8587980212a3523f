"""The views of every kind, what people do on them, and how to say so."""

import json
import random
from functools import cache

from calibration_data.generator import GENERATOR
from calibration_data.generator.splits import paraphrases_for

BROWSE, LETTERS, NUMBER, EMAIL = "browse", "letters", "number", "email"
# kind -> view -> what a user may be doing there.
VIEWS: dict[str, dict[str, tuple[str, ...]]] = {
    "chat": {
        "conversation": (BROWSE, LETTERS, NUMBER),
        "conversations": (BROWSE,),
        "recipient": (BROWSE, EMAIL),
    },
    "mail": {"inbox": (BROWSE,), "reading": (BROWSE,), "compose": (LETTERS, NUMBER, EMAIL)},
    "search": {
        "suggesting": (LETTERS, NUMBER),
        "results": (BROWSE, LETTERS),
        "mapped": (BROWSE, LETTERS),
        "people": (EMAIL,),
    },
    "login": {
        "access": (BROWSE, EMAIL),
        "register": (BROWSE, LETTERS),
        "phone": (NUMBER,),
        "code": (BROWSE, NUMBER),
    },
    "settings": {
        "overview": (BROWSE, LETTERS),
        "display": (BROWSE,),
        "rename": (LETTERS,),
        "account": (BROWSE, EMAIL),
        "pin": (NUMBER,),
    },
    "feed": {
        "timeline": (BROWSE,),
        "profile": (BROWSE,),
        "commenting": (LETTERS, NUMBER),
        "posting": (LETTERS, NUMBER),
        "friends": (BROWSE, EMAIL),
    },
    "shop": {
        "grid": (BROWSE, LETTERS),
        "detail": (BROWSE,),
        "cart": (BROWSE,),
        "checkout": (BROWSE, NUMBER, EMAIL),
    },
    "notes": {
        "overview": (BROWSE,),
        "writing": (BROWSE, LETTERS, NUMBER),
        "checklist": (BROWSE, LETTERS, NUMBER),
        "sharing": (BROWSE, EMAIL),
    },
}
_DETAIL_SHARE, _THEME_SHARE, _CAPITAL_SHARE = 0.5, 0.2, 0.5


@cache
def _paraphrases(name: str) -> dict:
    return json.loads((GENERATOR / "wordings" / f"{name}.json").read_text(encoding="utf-8"))


def views_with(kind: str, scene: str) -> list[str]:
    """The views of `kind` ("shop/cart") on which a user may do `scene` (browse, letters, number or email)."""
    return [f"{kind}/{view}" for view, scenes in VIEWS[kind].items() if scene in scenes]


def kind_captions(split: str) -> dict[str, list[str]]:
    """Sentences that fit every screen of a kind, for each kind of app."""
    return {kind: words[paraphrases_for(split)] for kind, words in _paraphrases("kinds").items()}


def caption(view: str, scene: str, dark: bool, split: str, rng: random.Random) -> str:
    """One sentence that describes the situation, with details that can be seen."""
    which = paraphrases_for(split)
    words, frames = _paraphrases("captions")[view][which], _paraphrases("frames")
    sentences = [(form, text) for form in ("things", "doings") for text in words[form]]
    form, text = rng.choice(sentences)
    text = rng.choice(frames[form][which]).format(text)
    if rng.random() < _DETAIL_SHARE:
        text += rng.choice(frames["details"][scene][which])
    if rng.random() < _THEME_SHARE:
        text += rng.choice(frames["dark" if dark else "light"][which])
    return text[:1].upper() + text[1:] + "." if rng.random() < _CAPITAL_SHARE else text


def action(view: str, dark: bool, split: str, rng: random.Random) -> tuple[str, str]:
    """What a user does next on a view where nobody types, and the group of all paraphrases of it.

    The display's settings offer the theme that is not on; every other view has one action.
    """
    name = f"{view} dark" if view == "settings/display" and dark else view
    return rng.choice(
        _paraphrases("actions")[name][paraphrases_for(split)]
    ), f"action/{name.replace(' ', '/')}"
