"""The training set: thousands of planned screens, what is typed on them, and splits that share nothing."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from calibration_data import CalibrationDataError
from calibration_data.generator.content import PAD_KINDS, appearance, common_content, suggestion_strip
from calibration_data.generator.corpora import CACHE
from calibration_data.generator.documents import Documents
from calibration_data.generator.phrases import phrases
from calibration_data.generator.plan import KINDS, KITS, LANGUAGE_WEIGHTS, LOOKS, Screen
from calibration_data.generator.scenes import scene_content
from calibration_data.generator.situations import (
    BROWSE,
    EMAIL,
    LETTERS,
    NUMBER,
    action,
    caption,
    kind_captions,
    views_with,
)
from calibration_data.generator.splits import TRAINING_SPLITS, UNSEEN_SPLITS, templates
from calibration_data.generator.styles import STYLES, user_vector_of
from calibration_data.generator.supply import Supply
from calibration_data.generator.targets import Targets, Typed
from calibration_data.generator.writing import styled_action

UNSEEN_KIT = "weui"
# Of every 50 screens of a kind, what their users do.
SCENE_DECK = (LETTERS,) * 29 + (BROWSE,) * 15 + (NUMBER,) * 3 + (EMAIL,) * 3
KEYBOARDS = {LETTERS: "letters", NUMBER: "digits", EMAIL: "email", BROWSE: None}
ENGLISH_WEIGHT = 8
PUT_AWAY_SHARE, DARK_SHARE = 0.1, 0.4
PHONES_CSS_PX = (
    *((360, 640), (360, 740), (360, 780), (360, 800), (375, 667), (375, 812)),
    *((390, 844), (393, 852), (412, 732), (412, 869), (412, 915), (430, 932)),
)
TEXT_SCALES = (0.88, 1.22)


@dataclass(frozen=True)
class _Plan:
    """A screen, its view and scene, and the source of all other choices about it."""

    screen: Screen
    view: str
    scene: str
    style: str
    rng: random.Random


def dataset_specs(
    counts: dict[str, int],
    seed: int = 0,
    *,
    cache: Path = CACHE,
    advance: Callable[[], None] = lambda: None,
) -> list[dict]:
    """The specifications of a training set, split by split.

    The first n screens of a split are the same for any count of at least n, and do not depend on the other
    splits; only unseen_kit draws its texts from what test has left.

    Args:
        counts: Number of screens of each split: train, validation, test, unseen_kit.
        seed: Another seed, another set.
        cache: Where the corpora are kept; they are fetched if they are not there.
        advance: Called after every screen.

    Returns:
        JSON-ready dicts: what `pages/page.mjs` draws, plus "typed", "target", "target_group", "siblings",
        "text_source", "caption", "user" and "user_style".

    Raises:
        CalibrationDataError: A split is unknown, or there are not enough texts for so many screens.
    """
    for split in counts:
        if split not in TRAINING_SPLITS:
            raise CalibrationDataError(f"there is no split {split!r}: use {', '.join(TRAINING_SPLITS)}")
    targets: dict[str, Targets] = {}
    specs = []
    for split in TRAINING_SPLITS:
        name = "test" if split in UNSEEN_SPLITS else split
        if counts.get(split) and name not in targets:
            targets[name] = Targets(Supply(name, seed, cache))
        for plan in _plans(split, counts.get(split, 0), seed):
            specs.append(_spec(plan, targets[name], seed))
            advance()
    return specs


def _plans(split: str, count: int, seed: int) -> list[_Plan]:
    """Kinds in turn, a kind's scenes from a shuffled deck, a scene's views in turn, the rest by chance."""
    decks: dict[str, list[str]] = {kind: [] for kind in KINDS}
    turns: Counter = Counter()
    plans = []
    for index in range(count):
        kind = KINDS[index % len(KINDS)]
        if not decks[kind]:
            decks[kind] = list(SCENE_DECK)
            random.Random(f"deck/{seed}/{split}/{kind}/{index}").shuffle(decks[kind])
        scene = decks[kind].pop()
        views = views_with(kind, scene)
        view = views[turns[kind, scene] % len(views)]
        turns[kind, scene] += 1
        turns[kind] += 1
        plans.append(_plan(f"{split}-{kind}-{turns[kind]:05d}", split, view, scene, seed))
    return plans


def _plan(name: str, split: str, view: str, scene: str, seed: int) -> _Plan:
    rng = random.Random(f"dataset/{seed}/{name}")
    put_away = scene == LETTERS and rng.random() < PUT_AWAY_SHARE
    languages = list(LANGUAGE_WEIGHTS)
    weights = [ENGLISH_WEIGHT if language == "en" else 1 for language in languages]
    screen = Screen(
        id=name,
        split=split,
        kind=view.split("/")[0],
        kit=UNSEEN_KIT if split == "unseen_kit" else rng.choice(KITS),
        look=rng.choice(LOOKS),
        dark=rng.random() < DARK_SHARE,
        keyboard=None if put_away else KEYBOARDS[scene],
        language=rng.choices(languages, weights)[0],
    )
    return _Plan(screen, view, scene, rng.choice(STYLES), rng)


def _typed(plan: _Plan, targets: Targets) -> Typed:
    screen, rng = plan.screen, plan.rng
    if plan.scene == LETTERS:
        return targets.letters(plan.view, screen.language, plan.style, screen.split, rng)
    if plan.scene != BROWSE:
        return targets.data(plan.view, plan.scene, screen.language, screen.split, rng)
    wish, group = action(plan.view, screen.dark, screen.split, rng)
    target = styled_action(wish, plan.style, screen.split, rng)
    return Typed(target, "", wish, (), group, "project/actions", screen.language)


def _content(plan: _Plan, screen: Screen, typed: Typed, supply: Supply) -> dict:
    """All texts of the page: labels and names of the language, documents of the pool."""
    rng = plan.rng
    words = phrases(screen.language)
    shared = replace(screen, split="parity" if screen.split in UNSEEN_SPLITS else "calibration")
    content = scene_content(shared, plan.scene, words, rng, rng.randrange(1000))
    del content["target"], content["typed"]
    shown = typed.target if plan.scene != BROWSE else ""
    content = Documents(supply, screen.language, rng).fill(screen.kind, content, typed.said, shown)
    settled = {
        "settings/rename": {"renames": True},
        "shop/checkout": {"numberKind": _number_kind(plan, typed)},
    }
    settled |= {"login/code": {"numberKind": "code"}, "login/phone": {"numberKind": "phone", "phone": shown}}
    if screen.kind == "settings":
        content["renames"] = False
    return {**common_content(shared, words, rng), **content, **settled.get(plan.view, {})}


def _number_kind(plan: _Plan, typed: Typed) -> str:
    return "postcode" if plan.scene == NUMBER and " " not in typed.target else "card"


def _kind_caption(screen: Screen, seed: int) -> dict:
    """The unseen splits are asked all sentences of their kinds, so their screens carry none."""
    if screen.split in UNSEEN_SPLITS:
        return {}
    rng = random.Random(f"kind/{seed}/{screen.id}")
    return {"kind_caption": rng.choice(kind_captions(screen.split)[screen.kind])}


def _spec(plan: _Plan, targets: Targets, seed: int) -> dict:
    rng = plan.rng
    typed = _typed(plan, targets)
    screen = replace(plan.screen, language=typed.language)
    content = _content(plan, screen, typed, targets.supply)
    width, height = rng.choice(PHONES_CSS_PX)
    look = {
        "width_css": width,
        "height_css": height,
        "scale": 1,
        "textScale": round(rng.uniform(*TEXT_SCALES), 2),
    }
    strip = suggestion_strip(plan.scene, typed.typed, typed.target, screen.language) if typed.typed else []
    return {
        **asdict(screen),
        "seed": f"dataset/{seed}/{screen.id}",
        "view": plan.view,
        "template": rng.choice(templates(plan.view, screen.split)),
        "direction": phrases(screen.language)["direction"],
        "scene": plan.scene,
        "typed": typed.typed,
        "target": typed.target,
        "target_group": typed.group,
        "siblings": list(typed.siblings),
        "text_source": typed.source,
        "caption": caption(plan.view, plan.scene, screen.dark, screen.split, rng),
        **_kind_caption(screen, seed),
        "focus": plan.scene != BROWSE,
        "suggestions": strip,
        "pad": screen.kind in PAD_KINDS,
        **appearance(screen, rng),
        **look,
        "user_style": plan.style,
        "user": user_vector_of(plan.style, screen.language, rng),
        "content": content,
    }
