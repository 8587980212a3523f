"""What the text stage learns from: real texts of the training sources, and the batches that they come in."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from calibration_data.generator.corpora import Text, texts
from runtime.tokenizers import Tokenizer

PREFIX_SHARE = 0.4
"""Part of the texts that are shown half-typed: a beginning, cut anywhere, is to find the whole's place."""
PREFIX_WEIGHT = 0.3
"""A half-typed text cannot tell all that the whole one says, so it counts less."""
POOL_BATCHES = 32
"""Batches are cut from this many batches' texts in order of length: little padding, yet well mixed."""
MOST_TEXTS = {"homeassistant": 10000, "emojibase": 1500}
"""Texts that are taken of a package in each language but English, which the teacher knows best."""
ONE_SOURCE_IN = 16
"""Of the training sources, those that the stage is tuned on and never fitted to."""


@dataclass(frozen=True)
class TextBatch:
    """Texts and where they belong.

    Attributes:
        input_ids, attention_mask: int32 [B, L], L the longest text of the batch.
        target: float32 [B, D], of norm 1: the whole text's place.
        weight: float32 [B], 1 for a whole text, `PREFIX_WEIGHT` for a beginning.
    """

    input_ids: Tensor
    attention_mask: Tensor
    target: Tensor
    weight: Tensor

    def to(self, device: torch.device | str) -> TextBatch:
        """The batch on another device."""
        return TextBatch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def training_texts() -> tuple[list[Text], list[Text]]:
    """Texts to fit and texts to tune on, of different sources of the training split; always the same."""
    groups = defaultdict(list)
    for text in texts("train"):
        groups[text.source.split("/")[0], text.language].append(text)
    chosen = []
    for (package, language), group in groups.items():
        chance = random.Random(f"{package} {language}")
        chance.shuffle(group)
        most = len(group) if language == "en" else MOST_TEXTS.get(package, len(group))
        chosen += group[:most]
    random.Random(0).shuffle(chosen)
    tuned = [_is_tuned_on(text.source) for text in chosen]
    return (
        [text for text, held in zip(chosen, tuned, strict=True) if not held],
        [text for text, held in zip(chosen, tuned, strict=True) if held],
    )


def _is_tuned_on(source: str) -> bool:
    return hashlib.sha256(b"v" + source.encode()).digest()[0] % ONE_SOURCE_IN == 0


class TextBatches:
    """Batches of texts with their targets: which ones depends on seed and step alone.

    Args:
        texts: N of them, at least a batch.
        targets: float32 [N, D] of norm 1.
        tokenizer: of the tower.
        batch_size: texts a batch; what an epoch leaves over waits for another one.
        seed: of order and prefixes.
        prefix_share: part of the texts that are shown half-typed.
    """

    def __init__(
        self,
        texts: Sequence[str],
        targets: np.ndarray,
        tokenizer: Tokenizer,
        *,
        batch_size: int,
        seed: int,
        prefix_share: float = PREFIX_SHARE,
    ):
        self.texts, self.targets, self.tokenizer = list(texts), targets, tokenizer
        self.batch_size, self.seed, self.prefix_share = batch_size, seed, prefix_share
        self.ids = [token_ids(tokenizer, text) for text in self.texts]
        self._epoch: tuple[int, list[list[int]]] = (-1, [])

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self.texts) // self.batch_size

    def batch(self, step: int) -> TextBatch:
        """The batch of a step, counted on through the epochs."""
        epoch, index = divmod(step, len(self))
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._rows(random.Random(f"{self.seed} epoch {epoch}")))
        return self._shown(self._epoch[1][index], random.Random(f"{self.seed} step {step}"))

    def _rows(self, chance: random.Random) -> list[list[int]]:
        order = list(range(len(self.texts)))
        chance.shuffle(order)
        whole, pool = len(self) * self.batch_size, POOL_BATCHES * self.batch_size
        batches = []
        for start in range(0, whole, pool):
            rows = sorted(order[start : min(start + pool, whole)], key=lambda i: len(self.ids[i]))
            batches += [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        chance.shuffle(batches)
        return batches

    def _shown(self, rows: list[int], chance: random.Random) -> TextBatch:
        ids, weight = [], []
        for row in rows:
            cut = chance.random() < self.prefix_share and len(self.texts[row]) > 3
            ids.append(token_ids(self.tokenizer, prefix(self.texts[row], chance)) if cut else self.ids[row])
            weight.append(PREFIX_WEIGHT if cut else 1.0)
        return TextBatch(*pad(ids), torch.from_numpy(self.targets[rows]), torch.tensor(weight))

    def piece_counts(self, size: int) -> np.ndarray:
        """How often each of `size` pieces occurs in the texts, int [size]."""
        return np.bincount(np.concatenate(self.ids), minlength=size)


def prefix(text: str, chance: random.Random) -> str:
    """A random beginning of a text of at least 4 characters: cut anywhere after the second one."""
    return text[: chance.randint(2, len(text) - 1)]


def token_ids(tokenizer: Tokenizer, text: str) -> np.ndarray:
    """Ids of a text without padding, int32 [L]."""
    ids, mask = tokenizer.encode(text)
    return ids[: int(mask.sum())]


def pad(ids: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Stacks ids of different lengths: input_ids and attention_mask, int32 [B, L]."""
    width = max(map(len, ids))
    input_ids = np.zeros((len(ids), width), np.int32)
    mask = np.zeros((len(ids), width), np.int32)
    for row, found in enumerate(ids):
        input_ids[row, : len(found)] = found
        mask[row, : len(found)] = 1
    return torch.from_numpy(input_ids), torch.from_numpy(mask)
