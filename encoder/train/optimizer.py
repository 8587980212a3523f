"""What moves the weights: AdamW by part, a rate that rises and falls, and the average that is kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from encoder.train.options import StageOptions

LAST_RATE = 0.01
"""Of the full rate, at the end of the cosine."""


def make_optimizer(
    trained: Mapping[str, nn.Parameter], heads: nn.Module, options: StageOptions
) -> torch.optim.AdamW:
    """Makes AdamW with a group for each rate, with decay and without.

    Args:
        trained: the encoder's parameters that are trained, by name.
        heads: modules that only training has.
        options: of the stage.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in [*trained.items(), *heads.named_parameters(prefix="heads")]:
        rate = options.rate
        if name.startswith("backbone."):
            rate = options.backbone_rate
        elif name.startswith("text."):
            rate = options.text_rate
        table = "embeddings" in name or name in ("fusion.query", "fusion.positions")
        decay = 0.0 if parameter.ndim <= 1 or table else options.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": params, "lr": rate, "full_lr": rate, "weight_decay": decay}
            for (rate, decay), params in groups.items()
        ],
        betas=(0.9, 0.98),
        fused=True,
    )


def set_rates(optimizer: torch.optim.Optimizer, progress: float, warmup: float) -> float:
    """Sets the rates: a straight rise, then a cosine down to LAST_RATE; returns the part of the full rate."""
    if progress < warmup:
        part = max(progress / warmup, LAST_RATE)
    else:
        done = min((progress - warmup) / max(1 - warmup, 1e-9), 1.0)
        part = LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * done)) / 2
    for group in optimizer.param_groups:
        group["lr"] = group["full_lr"] * part
    return part


class Average:
    """The running average of an encoder's weights and of its batch norms' statistics.

    Args:
        encoder: its weights are the first value.
        decay: how much of the old value a step keeps; less in the first steps.

    Attributes:
        count: steps that the average has taken in.
    """

    def __init__(self, encoder: nn.Module, decay: float):
        self.encoder = copy.deepcopy(encoder).eval().requires_grad_(False)
        self.decay, self.count = decay, 0

    def restart(self, encoder: nn.Module) -> None:
        """Forgets what was averaged and begins with these weights."""
        self.encoder.load_state_dict(encoder.state_dict())
        self.count = 0

    @torch.no_grad()
    def update(self, encoder: nn.Module) -> None:
        """Takes in the weights after a step."""
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        self.count += 1
        own, new = self.encoder.state_dict(), encoder.state_dict()
        floats = [name for name, value in own.items() if value.is_floating_point()]
        torch._foreach_lerp_([own[name] for name in floats], [new[name] for name in floats], 1 - decay)
        for name in own.keys() - set(floats):
            own[name].copy_(new[name])


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, names: Mapping[nn.Parameter, str]
) -> dict[str, Tensor]:
    """Returns the optimizer's state as named tensors, such as `exp_avg.fusion.query`."""
    return {
        f"{key}.{names[parameter]}": value
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, names: Mapping[nn.Parameter, str], tensors: Mapping[str, Tensor]
) -> None:
    """Puts named tensors back as the optimizer's state."""
    for parameter, name in names.items():
        found = {key: tensors.get(f"{key}.{name}") for key in ("step", "exp_avg", "exp_avg_sq")}
        if found["step"] is None:
            continue  # no gradient has reached it yet
        state = {key: torch.empty_like(parameter).copy_(found[key]) for key in ("exp_avg", "exp_avg_sq")}
        optimizer.state[parameter] = {"step": found["step"].to(parameter.device), **state}
