"""From a planned screen to everything that its page shows: the specification that the templates draw."""

import colorsys
import random
import unicodedata
from collections import Counter
from dataclasses import asdict

from calibration_data.generator.phrases import APPS, handles, phrases, pool
from calibration_data.generator.plan import Screen
from calibration_data.generator.scenes import scene_content
from calibration_data.generator.styles import STYLES, apply_style, user_vector
from calibration_data.generator.typed_text import next_words

WIDTH_CSS_PX, HEIGHT_CSS_PX, SCALE = 360, 780, 3
# Hue, saturation and lightness (degrees, percent) of the accent colours that apps like to use.
ACCENTS = (
    *((211, 100, 50), (145, 63, 40), (262, 60, 52), (340, 82, 52), (24, 90, 48), (187, 80, 36)),
    *((228, 58, 50), (4, 78, 52), (168, 70, 34), (292, 50, 45), (200, 85, 42), (36, 92, 44)),
)
DARK_ACCENT_LIGHTNESS = 57
MAX_ATTEMPTS = 50
# Of screens without a keyboard, how many show a draft; of Material screens, how many have a three-button bar.
DRAFT_SHARE, BUTTONS_SHARE = 0.3, 0.35
SHADES = ("neutral", "soft", "tinted-page")
PAD_KINDS = ("login", "settings", "shop")
NETWORKS = ("Fernsicht", "Home 5G", "Lighthouse", "WLAN-2041")
STYLED_KINDS = ("chat", "feed")


def _addresses(people: list[str], split: str, rng: random.Random) -> list[str]:
    """An address for each person: made of the name where that is written in Latin letters."""
    spare = rng.sample(handles(split), len(handles(split)))
    addresses = []
    for index, name in enumerate(people):
        plain = (
            unicodedata.normalize("NFKD", name.replace("ı", "i")).encode("ascii", "ignore").decode().lower()
        )
        domain = spare[index % len(spare)].split("@")[1]
        own = rng.choice((".", "_", "")).join(plain.split()) if len(plain) > len(name) / 2 else ""
        addresses.append(f"{own}@{domain}" if own else spare[index % len(spare)])
    return addresses


def _accent(rng: random.Random, dark: bool) -> tuple[str, list[int]]:
    hue, saturation, lightness = rng.choice(ACCENTS)
    lightness = max(lightness, DARK_ACCENT_LIGHTNESS) if dark else lightness
    red, green, blue = colorsys.hls_to_rgb(hue / 360, lightness / 100, saturation / 100)
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in (red, green, blue)), [
        hue,
        saturation,
        lightness,
    ]


def _status(rng: random.Random) -> dict:
    hour, minute = rng.randint(6, 23), rng.randint(0, 59)
    network = rng.choice(("wifi", "wifi", "5G", "LTE"))
    return {
        "time": f"{hour}:{minute:02d}",
        "battery": rng.randint(11, 100),
        "signal": rng.randint(1, 4),
        "network": network,
    }


def appearance(screen: Screen, rng: random.Random) -> dict:
    """Colours, text size, status bar and the size of the phone."""
    accent, accent_hsl = _accent(rng, screen.dark)
    return {
        "accent": accent,
        "accentHsl": accent_hsl,
        "toolbar": rng.choice(("plain", "tinted", "tinted", "colored")),
        "buttons": rng.random() < BUTTONS_SHARE,
        "shade": rng.choice(SHADES),
        "textScale": round(rng.uniform(0.94, 1.1), 2),
        "status": _status(rng),
        "width_css": WIDTH_CSS_PX,
        "height_css": HEIGHT_CSS_PX,
        "scale": SCALE,
    }


def _scene(screen: Screen, rng: random.Random) -> str:
    """What the user does. Without a keyboard mostly reading, else a draft whose keyboard was put away."""
    if screen.keyboard is None:
        return "letters" if rng.random() < DRAFT_SHARE else "browse"
    return {"letters": "letters", "digits": "number", "email": "email"}[screen.keyboard]


def common_content(screen: Screen, words: dict, rng: random.Random) -> dict:
    """What every kind may show: labels, people and their addresses, names of an app and a network."""
    people = rng.sample(words["people"], len(words["people"]))
    return {
        "ui": words["ui"],
        "people": people,
        "emails": _addresses(people, screen.split, rng),
        "me": people[-1],
        "app": rng.choice(pool(list(APPS), screen.split)),
        "network": rng.choice(NETWORKS),
    }


def screen_spec(screen: Screen, seed: int, index: int, *, turn: int = 0, attempt: int = 0) -> dict:
    """Choose the texts, colours and the state of the phone for one screen.

    Args:
        screen: The planned properties.
        seed: Seed of the whole set.
        index: Position in the set; the users' styles take turns.
        turn: How many screens of the same split, kind and language came before: the next document is used.
        attempt: Another number, another choice (used when a text came out twice).

    Returns:
        A JSON-ready dict: what `pages/page.mjs` draws, plus "typed", "target", "user" and "user_style".
    """
    name = f"{seed}/{screen.split}/{screen.id}/{attempt}"
    rng = random.Random(name)
    words = phrases(screen.language)
    scene = _scene(screen, rng)
    style = STYLES[index % len(STYLES)]
    common = common_content(screen, words, rng)
    content = scene_content(screen, scene, words, rng, turn)
    target, typed = content.pop("target"), content.pop("typed")
    suggestions = [] if scene == "browse" else suggestion_strip(scene, typed, target, screen.language)
    if typed and scene == "letters" and screen.kind in STYLED_KINDS:
        typed = apply_style(typed, style, rng)
    return {
        **asdict(screen),
        "seed": name,
        "direction": words["direction"],
        "scene": scene,
        "typed": typed,
        "target": target,
        "focus": scene != "browse",
        "suggestions": suggestions,
        "pad": screen.kind in PAD_KINDS,
        **appearance(screen, rng),
        "user_style": style,
        "user": user_vector(style, rng),
        "content": {**common, **content},
    }


def suggestion_strip(scene: str, typed: str, target: str, language: str) -> list[str]:
    """What the keyboard's row of suggestions shows."""
    if scene == "email":
        return [target] if "@" in typed else ["@example.com", "@example.org"]
    return next_words(typed, target, language)


def build_specs(screens: list[Screen], seed: int = 0) -> list[dict]:
    """The specifications of all screens; no text occurs twice."""
    seen: set[str] = set()
    turns: Counter = Counter()
    specs = []
    for index, screen in enumerate(screens):
        group = (screen.split, screen.kind, screen.language)
        for attempt in range(MAX_ATTEMPTS):
            spec = screen_spec(screen, seed, index, turn=turns[group] + attempt, attempt=attempt)
            if not spec["typed"] or spec["typed"] not in seen:
                break
        turns[group] += 1
        seen.add(spec["typed"])
        specs.append(spec)
    return specs
