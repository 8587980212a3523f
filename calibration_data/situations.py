"""The views of every kind, what people do on them, and how to say so."""

import json
import random
from functools import cache

from calibration_data import ROOT
from calibration_data.splits import wording

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
# Wordings for the nearest-caption test: no caption of a sample reads like these.
KIND_CAPTIONS = {
    "chat": [
        "someone is chatting in a messenger",
        "texting with another person",
        "a dialogue of instant messages in a chat app",
        "this app is for sending messages to contacts",
    ],
    "mail": [
        "someone deals with their e-mail",
        "the mail client on a phone",
        "electronic mail with senders and subjects",
        "this app is for e-mails",
    ],
    "search": [
        "someone is looking something up with a search engine",
        "a web or map search",
        "searching for information, places or people",
        "this app is for finding things by a query",
    ],
    "login": [
        "someone is signing in or signing up",
        "an app's login or registration form",
        "entering credentials or a code to get into an app",
        "this is where one logs in or creates an account",
    ],
    "settings": [
        "someone is configuring their phone",
        "system settings and preferences",
        "changing options of the device",
        "this app is for the phone's settings",
    ],
    "feed": [
        "someone uses a social network",
        "posts, likes and comments of people one follows",
        "social media with pictures and status updates",
        "this app is for following what friends post",
    ],
    "shop": [
        "someone is shopping online",
        "products, prices and a cart in a store",
        "buying things in a web store",
        "this app is for shopping",
    ],
    "notes": [
        "someone keeps notes on their phone",
        "a notebook app with memos and checklists",
        "writing something down so as not to forget it",
        "this app is for taking notes",
    ],
}
_THING_FRAMES = {
    "train": (
        *("{}", "a phone showing {}", "this is {}", "the screen shows {}"),
        *("a screenshot of {}", "we see {}", "on the phone: {}"),
    ),
    "test": (
        *("open on the display is {}", "what the user has before them is {}"),
        *("it looks like {}", "in front of the user: {}"),
    ),
}
_DOING_FRAMES = {
    "train": ("{}", "here {}", "on this screen {}", "right now {}", "a moment in which {}", "{} on a phone"),
    "test": ("apparently {}", "at this moment {}", "one can tell that {}", "the picture was taken while {}"),
}
_DETAILS = {
    LETTERS: {
        "train": (
            *(", with the keyboard up", ", typing on the keyboard"),
            *(", keyboard open", ", text is being typed"),
        ),
        "test": (", while the on-screen keyboard is out", ", fingers on the letter keys"),
    },
    EMAIL: {
        "train": (", with the keyboard up", ", typing an address", ", entering an e-mail address"),
        "test": (", while an address is put in", ", with the keys out for an address"),
    },
    NUMBER: {
        "train": (", with the number keys up", ", typing digits", ", entering a number"),
        "test": (", while figures are put in", ", with the numeric keys out"),
    },
    BROWSE: {
        "train": (", nothing is being typed", ", without a keyboard", ", just looking"),
        "test": (", no text is entered", ", the keyboard is away"),
    },
}
_DARK = {"train": (", in dark mode", ", dark theme"), "test": (", light letters on black",)}
_LIGHT = {"train": (", in light mode", ", light theme"), "test": (", dark letters on white",)}
_DETAIL_SHARE, _THEME_SHARE, _CAPITAL_SHARE = 0.5, 0.2, 0.5


@cache
def _wordings(name: str) -> dict:
    return json.loads((ROOT / "wordings" / f"{name}.json").read_text(encoding="utf-8"))


def views_with(kind: str, scene: str) -> list[str]:
    """The views of `kind` ("shop/cart") on which a user may do `scene` (browse, letters, number or email)."""
    return [f"{kind}/{view}" for view, scenes in VIEWS[kind].items() if scene in scenes]


def caption(view: str, scene: str, dark: bool, split: str, rng: random.Random) -> str:
    """One sentence that describes the situation, with details that can be seen; test has its own wordings."""
    which = wording(split)
    words = _wordings("captions")[view][which]
    sentences = [(_THING_FRAMES, thing) for thing in words["things"]]
    sentences += [(_DOING_FRAMES, doing) for doing in words["doings"]]
    frames, text = rng.choice(sentences)
    text = rng.choice(frames[which]).format(text)
    if rng.random() < _DETAIL_SHARE:
        text += rng.choice(_DETAILS[scene][which])
    if rng.random() < _THEME_SHARE:
        text += rng.choice((_DARK if dark else _LIGHT)[which])
    return text[:1].upper() + text[1:] + "." if rng.random() < _CAPITAL_SHARE else text


def action(view: str, dark: bool, split: str, rng: random.Random) -> tuple[str, str]:
    """What a user does next on a view where nobody types, and the group of all wordings of it.

    The display's settings offer the theme that is not on; every other view has one action.
    """
    name = f"{view} dark" if view == "settings/display" and dark else view
    return rng.choice(_wordings("actions")[name][wording(split)]), f"action/{name.replace(' ', '/')}"
