"""User vectors: clusters of writing styles, and what a style does to the text."""

import math
import random

DIMENSION = 64
STYLES = ("terse", "formal", "casual", "emoji", "wordy", "playful")
CENTROID_SHARE = 0.85
NOISE_NORM = 0.5
# Shares of style, language and noise in the user vectors of the training set.
STYLE_SHARE, LANGUAGE_SHARE, LANGUAGE_NOISE = 0.75, 0.45, 0.45
EMOJI = ("😊", "👍", "🎉", "😅", "❤️", "🙌", "😂", "✨", "🙏", "🌻", "🤔", "😍")


def _unit(rng: random.Random) -> list[float]:
    values = [rng.gauss(0.0, 1.0) for _ in range(DIMENSION)]
    norm = math.sqrt(sum(value * value for value in values))
    return [value / norm for value in values]


def user_vector(style: str, rng: random.Random) -> list[float]:
    """A user of `style`: the cluster's centroid plus noise, 64 numbers of 4 decimals, norm about 1.

    Raises:
        ValueError: `style` is not one of STYLES.
    """
    if style not in STYLES:
        raise ValueError(f"unknown style {style!r}; valid styles: {', '.join(STYLES)}")
    centroid = _unit(random.Random(f"style/{style}"))
    noise = _unit(rng)
    return [round(CENTROID_SHARE * c + NOISE_NORM * n, 4) for c, n in zip(centroid, noise, strict=True)]


def user_vector_of(style: str, language: str, rng: random.Random) -> list[float]:
    """A user of `style` who writes `language`: both centroids plus noise, 64 numbers, norm about 1.

    Raises:
        ValueError: `style` is not one of STYLES.
    """
    if style not in STYLES:
        raise ValueError(f"unknown style {style!r}; valid styles: {', '.join(STYLES)}")
    parts = (
        (STYLE_SHARE, _unit(random.Random(f"style/{style}"))),
        (LANGUAGE_SHARE, _unit(random.Random(f"language/{language}"))),
        (LANGUAGE_NOISE, _unit(rng)),
    )
    return [round(sum(share * part[i] for share, part in parts), 4) for i in range(DIMENSION)]


def apply_style(text: str, style: str, rng: random.Random) -> str:
    """What a user of `style` would have written in place of `text`; most styles keep it."""
    if style == "terse":
        return text[:1].lower() + text[1:].rstrip(".!。！")
    if style == "formal":
        return text[:1].upper() + text[1:]
    if style in ("emoji", "playful"):
        whole_words = text.rsplit(" ", 1)[0] if " " in text else text
        return f"{whole_words} {rng.choice(EMOJI)}"
    return text
