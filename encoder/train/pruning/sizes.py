"""How small: a ladder of sizes from mild to hard, and the first that meets a budget of parameters."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import torch

from encoder.config import PRESETS, PRUNED_KEYS, EncoderConfig
from encoder.model import build
from encoder.modules.global_view import GLOBAL_VIEWS
from encoder.modules.text import TEXT_MODELS
from encoder.train import TrainError


@dataclass(frozen=True)
class Size:
    """A step of the ladder: what `EncoderConfig` calls by the same names."""

    text_layers: int
    text_ffn_dim: int
    text_embedding_rank: int
    global_width: int


LADDER = (
    Size(text_layers=6, text_ffn_dim=768, text_embedding_rank=128, global_width=48),
    Size(text_layers=4, text_ffn_dim=768, text_embedding_rank=96, global_width=40),
    Size(text_layers=3, text_ffn_dim=384, text_embedding_rank=56, global_width=24),
    Size(text_layers=2, text_ffn_dim=384, text_embedding_rank=48, global_width=24),
    Size(text_layers=2, text_ffn_dim=256, text_embedding_rank=32, global_width=16),
)
"""From mild to hard: `high_performance` has 38.3 M parameters, and pruned 22.2, 17.0, 10.9, 9.8 or 8.2."""


def prunable_keys(config: EncoderConfig) -> list[str]:
    """Returns the config keys by which the options of a config can be pruned; [] where none can."""
    options = {"text_model": TEXT_MODELS, "global_projection": GLOBAL_VIEWS}
    own = {slot: kinds[getattr(config, slot)].SIZES for slot, kinds in options.items()}
    return [key for key, slot in PRUNED_KEYS.items() if key.split("_", 1)[1] in own[slot]]


def pruned_config(config: EncoderConfig, budget: int) -> EncoderConfig:
    """Returns the config of the mildest pruning that has fewer parameters than the budget.

    Raises:
        TrainError: nothing in it can be pruned, it is pruned already, or no pruning meets the budget.
    """
    keys = prunable_keys(config)
    if not keys or any(getattr(config, key) is not None for key in keys):
        names = [name for name, known in PRESETS.items() if _is_whole(known)]
        what = "is pruned already" if keys else "has nothing that can be pruned"
        raise TrainError(f"this preset {what}; those that can be pruned: {', '.join(names)}")
    reached = 0
    for size in LADDER:
        found = replace(config, **{key: value for key, value in asdict(size).items() if key in keys})
        reached = sum(parameters(found).values())
        if reached < budget:
            return found
    raise TrainError(
        f"a budget of {budget:,} parameters cannot be reached: the hardest pruning leaves {reached:,}"
    )


def _is_whole(config: EncoderConfig) -> bool:
    keys = prunable_keys(config)
    return bool(keys) and all(getattr(config, key) is None for key in keys)


def parameters(config: EncoderConfig) -> dict[str, int]:
    """Counts the parameters of each part of an encoder, without giving it values."""
    with torch.device("meta"):
        parts = build(config).named_children()
    return {name: sum(value.numel() for value in part.parameters()) for name, part in parts}
