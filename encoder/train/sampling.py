"""What a step trains on: which samples, where their texts are cut, which users write them, hard negatives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration_data.generator.styles import STYLES
from calibration_data.generator.typed_text import safe_cut
from calibration_data.samples import Sample
from encoder.train.options import ContextOptions

OWN_CUT_SHARE = 0.4
"""Part of the typed contexts that keep the sample's own text; the others are cut anew."""
EARLIEST_CUT = 0.6
"""Of the sample's own text: a new cut is not shorter, or it would say too little."""
OTHER_STYLE_SHARE = 0.5
"""Part of the further contexts of a screen that a user of another style writes."""
THINNED_SHARE, LEFT_OUT = 0.5, 0.12
"""Part of the captions and actions that lose words, and of their words: paraphrases are few."""
KIND_SENTENCES = 2
"""About each screen class, in every step."""
KIND_CAPTION_SHARE = 0.3
"""Part of the captions that tell the screen class alone, where the samples know such a sentence."""
USER_NOISE = 0.02
"""Deviation of the noise added to every number of a user vector."""


@dataclass(frozen=True)
class Context:
    """One context of a screen: `screen` is its place in the batch, `label` the right candidate's."""

    screen: int
    text: str
    user: np.ndarray
    label: int


@dataclass(frozen=True)
class Candidate:
    """A text to rank. Within a `cluster` all others are wrong; in other clusters of its `group`, none is."""

    text: str
    group: str
    cluster: int


@dataclass(frozen=True)
class Draw:
    """One step's samples, by row, with their contexts, candidates and captions (one a sample).

    `general` says which captions fit every screen of their sample's kind; the others fit those of its view.
    `kinds` are sentences about screen classes, the same number of each, in the order of their names; none
    where the samples have no such sentences.
    """

    rows: np.ndarray
    contexts: list[Context]
    candidates: list[Candidate]
    captions: list[str]
    general: np.ndarray
    kinds: list[str]


class Sampler:
    """Draws steps from samples; the same seed and step give the same draw.

    Args:
        samples: of the training split.
        options: of the stage.
        seed: of all draws.
        user_embed_dim: length of a user vector.
        kinds: names of the screen classes, in the order of their labels.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        options: ContextOptions,
        seed: int,
        user_embed_dim: int,
        kinds: Sequence[str],
    ):
        self.samples, self.options, self.seed = samples, options, seed
        self.users = np.array([sample.user or [0.0] * user_embed_dim for sample in samples], np.float32)
        self.by_kind = _rows_by(samples, lambda sample: sample.kind)
        self.by_author = _rows_by(samples, lambda sample: (sample.user_style, sample.language))
        self.by_style = _rows_by(samples, lambda sample: sample.user_style)
        self.by_layout = _rows_by(samples, _layout)
        self.kind_sentences = _kind_sentences(samples, kinds)
        self.by_action = _rows_by(samples, lambda sample: "" if sample.text else sample.target_group)
        self.reach = [_reach(sample) for sample in samples]

    def draw(self, step: int) -> Draw:
        """Draws one step."""
        random = np.random.default_rng([self.seed, step])
        # Screen classes are mixed: a batch of one would teach under batch-norm statistics of its own.
        rows = random.choice(len(self.samples), min(self.options.batch, len(self.samples)), replace=False)
        contexts: list[Context] = []
        candidates: list[Candidate] = []
        for place, row in enumerate(rows):
            self._add(place, row, contexts, candidates, random)
        captions, general = zip(*(self._caption(self.samples[row], random) for row in rows), strict=True)
        kinds = [
            _thinned(sentences[place], random)
            for sentences in self.kind_sentences
            for place in random.choice(len(sentences), KIND_SENTENCES)
        ]
        return Draw(rows, contexts, candidates, list(captions), np.array(general), kinds)

    def _caption(self, sample: Sample, random: np.random.Generator) -> tuple[str, bool]:
        """A caption that fits the sample, and whether it fits all of its kind."""
        general = bool(sample.kind_caption) and random.random() < KIND_CAPTION_SHARE
        alike = self.by_kind[sample.kind] if general else self.by_layout[_layout(sample)]
        other = self.samples[random.choice(alike)]
        caption = (other.kind_caption or sample.kind_caption) if general else other.caption
        return _thinned(caption, random), general

    def _add(
        self,
        place: int,
        row: int,
        contexts: list[Context],
        candidates: list[Candidate],
        random: np.random.Generator,
    ) -> None:
        sample, own = self.samples[row], len(candidates)
        shown = sample.target if sample.text else _thinned(sample.target, random)
        candidates.append(Candidate(shown, sample.target_group, own))
        picked = random.permutation(len(sample.siblings))[: self.options.paraphrases]
        candidates += [Candidate(sample.siblings[index], sample.target_group, own) for index in picked]
        for negative in random.choice(self.by_kind[sample.kind], self.options.hard_negatives):
            other = self.samples[negative]
            candidates.append(Candidate(other.target, other.target_group, len(candidates)))
        styles = paraphrase_styles(sample)
        for turn in range(self.options.variants):
            other = turn > 0 and random.random() < OTHER_STYLE_SHARE
            style, target, label = sample.user_style, sample.target, own
            if other and styles and len(picked):
                offset = int(random.integers(len(picked)))
                style, target = styles[picked[offset]], sample.siblings[picked[offset]]
                label = own + 1 + offset
            elif other and not sample.text:
                again = self.samples[random.choice(self.by_action[sample.target_group])]
                style, label = again.user_style, len(candidates)
                candidates.append(Candidate(_thinned(again.target, random), sample.target_group, label))
            user = self._user(style, sample.language, random)
            contexts.append(Context(place, self._cut(row, target, random), user, label))

    def _cut(self, row: int, target: str, random: np.random.Generator) -> str:
        """A beginning of the target, no longer than what users of all styles would have typed alike."""
        text = self.samples[row].text
        if not text or random.random() < OWN_CUT_SHARE:
            return text if target.startswith(text) else target[: len(text)]
        shortest = max(2, round(EARLIEST_CUT * len(text)))
        reach = min(self.reach[row], _shared(target, self.samples[row].target))
        position = int(random.integers(shortest, max(reach, shortest) + 1))
        return target[: safe_cut(target, position)].rstrip()

    def _user(self, style: str, language: str, random: np.random.Generator) -> np.ndarray:
        """Another user who writes this style and language, with a little noise."""
        pool = self.by_author.get((style, language))
        if pool is None:  # nobody writes this style in this language: the style alone
            pool = self.by_style[style] if style in self.by_style else np.arange(len(self.users))
        noise = random.normal(0.0, USER_NOISE, self.users.shape[1]).astype(np.float32)
        return self.users[random.choice(pool)] + noise


def _kind_sentences(samples: Sequence[Sample], kinds: Sequence[str]) -> list[list[str]]:
    """The sentences about each screen class; nothing where one of them has none."""
    known: dict[str, set[str]] = {kind: set() for kind in kinds}
    for sample in samples:
        if sample.kind_caption:
            known[sample.kind].add(sample.kind_caption)
    return [sorted(sentences) for sentences in known.values()] if all(known.values()) else []


def paraphrase_styles(sample: Sample) -> list[str]:
    """The styles of a sample's paraphrases (`siblings`), in their order; [] where there are not all."""
    others = [style for style in STYLES if style != sample.user_style]
    return others if len(sample.siblings) == len(others) else []


def _rows_by(samples: Sequence[Sample], key) -> dict:
    rows = defaultdict(list)
    for row, sample in enumerate(samples):
        rows[key(sample)].append(row)
    return {name: np.array(found) for name, found in rows.items()}


def _layout(sample: Sample) -> tuple:
    """Samples that are alike to a caption: any of their captions fits all of them."""
    return sample.view, sample.keyboard, sample.dark, bool(sample.text)


def _reach(sample: Sample) -> int:
    """How far the target can be typed before its style shows."""
    shared = (_shared(sample.target, other) for other in sample.siblings)
    return max(len(sample.text), max(shared, default=len(sample.text)))


def _shared(one: str, other: str) -> int:
    """Length of the beginning that two texts share."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _thinned(text: str, random: np.random.Generator) -> str:
    """Leaves out a word here and there."""
    if random.random() >= THINNED_SHARE:
        return text
    words = text.split(" ")
    kept = [word for word, drawn in zip(words, random.random(len(words)), strict=True) if drawn >= LEFT_OUT]
    return " ".join(kept or words)
