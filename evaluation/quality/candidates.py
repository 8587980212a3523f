"""Which texts a sample's right target competes with: the same ones in every run."""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Sequence

import numpy as np

from calibration_data.samples import Sample
from runtime.errors import InputError

CANDIDATES = 200
"""Of each sample: the right target first, then wrong ones."""
SIBLINGS = 3
"""At most so many of the wrong ones are the same text as users of other styles would have ended it."""


def candidate_sets(samples: Sequence[Sample], count: int = CANDIDATES) -> list[tuple[str, ...]]:
    """Gives each sample its candidates: the right target first.

    A few are its siblings; the others are targets of other groups from the same split, and where a split is
    too small for that, from the others too. No two are the same but for upper and lower case, accents or
    spaces, which the encoder's tokenizer does not see. The choice depends on the sample's id alone.

    Args:
        samples: of one or several splits.
        count: candidates of each sample.

    Returns:
        For each sample `count` different texts.

    Raises:
        InputError: there are not enough targets of other groups.
    """
    pools = {split: _pool(samples, split) for split in sorted({sample.split for sample in samples})}
    return [_choose(sample, pools[sample.split], count) for sample in samples]


def _pool(samples: Sequence[Sample], split: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """All (target, group) of a split, and all of the others, each sorted."""
    own = {(sample.target, sample.target_group) for sample in samples if sample.split == split}
    other = {(sample.target, sample.target_group) for sample in samples if sample.split != split}
    return sorted(own), sorted(other)


def _choose(sample: Sample, pools: tuple[list, list], count: int) -> tuple[str, ...]:
    seed = int.from_bytes(hashlib.sha256(sample.id.encode()).digest()[:8], "big")
    random = np.random.default_rng(seed)
    chosen, seen = [sample.target], {fold(sample.target)}
    siblings = sorted(sample.siblings)
    picked = (siblings[index] for index in random.permutation(len(siblings)))
    _take(picked, 1 + SIBLINGS, chosen, seen)
    for pool in pools:
        order = random.permutation(len(pool))
        others = (pool[index][0] for index in order if pool[index][1] != sample.target_group)
        _take(others, count, chosen, seen)
    if len(chosen) < count:
        raise InputError(
            f"sample {sample.id!r}: only {len(chosen)} different candidates in the test split, "
            f"{count} are needed: make a larger one"
        )
    return tuple(chosen)


def _take(texts, until: int, chosen: list[str], seen: set[str]) -> None:
    """Moves texts that were not seen yet to the chosen ones, until there are enough."""
    for text in texts:
        if len(chosen) >= until:
            return
        if fold(text) not in seen:
            seen.add(fold(text))
            chosen.append(text)


@functools.lru_cache(maxsize=1 << 16)
def fold(text: str) -> str:
    """A text without what the uncased tokenizer does not see: case, accents and spaces."""
    decomposed = unicodedata.normalize("NFD", text.lower())
    plain = "".join(letter for letter in decomposed if unicodedata.category(letter) != "Mn")
    return "".join(plain.split())
