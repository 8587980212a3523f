"""Runs a text tower on all texts that are measured: an engine's one by one, PyTorch's in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from runtime.engines import Engine

BATCH = 32

Texts = Sequence[Mapping[str, np.ndarray]]
"""Of each text, its ids and attention mask, int32 [1, L]."""
TextTower = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps ids and attention mask, int32 [B, L] of any L, to tokens, float32 [B, 1, D]."""


def run_one_by_one(engine: Engine, texts: Texts, advance: Callable[[int], None]) -> list[np.ndarray]:
    """Returns each text's token, float32 [1, 1, D]; `advance` is called with how many have been run more."""
    tokens = []
    for text in texts:
        tokens.append(engine.text(**text))
        advance(1)
    return tokens


def run_in_batches(tower: TextTower, texts: Texts, advance: Callable[[int], None]) -> list[np.ndarray]:
    """Runs texts of like length together, cut to the longest of them.

    A converted file takes one text at a time.

    Returns:
        Each text's token, float32 [1, 1, D]; `advance` is called with how many have been run more.
    """
    lengths = np.array([int(text["attention_mask"].sum()) for text in texts])
    tokens: list[np.ndarray] = [np.empty(0)] * len(texts)
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        longest = lengths[batch].max()
        ids, mask = (
            np.concatenate([texts[index][name][:, :longest] for index in batch])
            for name in ("input_ids", "attention_mask")
        )
        for index, token in zip(batch, tower(ids, mask), strict=True):
            tokens[index] = token[None]
        advance(len(batch))
    return tokens
