"""The training loop: any stage, on a CPU or a GPU, stopped and resumed at any step.

Behind it what moves the weights: AdamW by part, the LR schedule, and the EMA that is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from encoder.model import Encoder
from encoder.modules.disabled_blocks import disabled_blocks
from encoder.train import TrainingDivergedError
from encoder.train.checkpoint import (
    load_checkpoint,
    load_part,
    optimizer_tensors,
    part,
    restore_optimizer,
    save_checkpoint,
)
from encoder.train.kernels import fake_quantize, mixed_precision, repeatable, suit_kernels
from encoder.train.monitor import Monitor
from encoder.train.options import StageOptions

LAST_RATE = 0.01
"""Of the full rate, at the end of the cosine."""


class Stage:
    """What the loop needs of a stage. Everything random follows from the seed and the step alone.

    Args:
        options: of the stage.
        device: where batches go.

    Attributes:
        heads: modules that only training has.
    """

    name: str

    def __init__(self, options: StageOptions, device: torch.device):
        self.options, self.device, self.heads, self._quantized = options, device, nn.Module(), False

    def trained(self, encoder: Encoder) -> dict[str, nn.Parameter]:
        """Returns the encoder's parameters that the stage trains, by name."""

    def begin(self, encoder: Encoder) -> None:
        """Does what has to be done before the first step."""

    def prepare(self, step: int) -> Any:
        """Makes a step's batch; runs beside the previous step."""

    def loss(self, encoder: Encoder, batch: Any, step: int, progress: float) -> dict[str, Tensor]:
        """Returns the weighted parts of a step's loss; `progress` is that of the stage, 0 to 1."""

    def phase(self, progress: float) -> int:
        """Returns a number that changes where inputs change so much that the EMA has to begin anew."""
        return 0

    def validate(self, encoder: Encoder, progress: float) -> dict[str, float]:
        """Measures an encoder in evaluation mode on what the stage is not fitted to."""

    def quantize(self, encoder: Encoder, progress: float) -> None:
        """Makes the last part of a stage, `qat_share` of its options, quantization-aware."""
        if progress >= 1 - self.options.qat_share and not self._quantized:
            fake_quantize(encoder, self.options.qat_bits)
            self._quantized = True


@dataclass(frozen=True)
class Pace:
    """How often the loop saves and validates, in minutes; it decides nothing that is learned."""

    save: float = 5.0
    validate: float = 4.0


class Stopped(Exception):  # noqa: N818
    """The user asked to stop; the state is saved."""


class Loop:
    """One stage of a run.

    Args:
        stage: data and objective.
        encoder: trained in place.
        settings: what decides the result; it is kept with every checkpoint.
        folder: of the stage.
        monitor: shows and records.
        pace: how often to save and validate.
    """

    def __init__(
        self,
        stage: Stage,
        encoder: Encoder,
        settings: Mapping[str, Any],
        folder: Path,
        monitor: Monitor,
        pace: Pace,
    ):
        self.stage, self.encoder, self.settings = stage, encoder, dict(settings)
        self.folder, self.monitor, self.pace = folder, monitor, pace
        encoder.to(stage.device)
        suit_kernels(encoder, stage.device)
        stage.heads.to(stage.device)
        # What is disabled stays so.
        off = {value for block in disabled_blocks(encoder.backbone).values() for value in block.parameters()}
        trained = {name: value for name, value in stage.trained(encoder).items() if value not in off}
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_(name in trained)
        self.optimizer = make_optimizer(trained, stage.heads, stage.options)
        self.names = {parameter: name for name, parameter in trained.items()}
        self.names |= {value: name for name, value in stage.heads.named_parameters(prefix="heads")}
        self.ema = Ema(encoder, stage.options.ema)
        self.step, self.seconds, self.measured = 0, 0.0, {}
        self.phase = stage.phase(0.0)
        self.stop_asked = False

    @property
    def progress(self) -> float:
        """Of the stage, 0 to 1: by steps, or by the clock where the stage is limited by time."""
        options = self.stage.options
        if options.steps:
            return min(self.step / options.steps, 1.0)
        return min(self.seconds / (options.minutes * 60), 1.0)

    def resume(self) -> bool:
        """Takes up the newest checkpoint; returns whether there was one.

        Raises:
            TrainError: it is of another model, or damaged.
        """
        found = load_checkpoint(self.folder)
        if found is None:
            return False
        tensors, facts = found
        load_part(self.encoder, tensors, "model", self.folder)
        load_part(self.ema.module, tensors, "ema", self.folder)
        load_part(self.stage.heads, tensors, "heads", self.folder)
        restore_optimizer(self.optimizer, self.names, part(tensors, "optimizer"))
        self.step, self.seconds, self.measured = facts["step"], facts["seconds"], facts["measured"]
        self.phase, self.ema.updates = facts["phase"], facts["ema_updates"]
        self.monitor.rewind(self.step)
        return True

    def save(self) -> None:
        """Saves everything that the next step depends on.

        Raises:
            TrainError: the disk is full; the last good checkpoint is kept.
        """
        parts = {
            "model": self.encoder.state_dict(),
            "ema": self.ema.module.state_dict(),
            "heads": self.stage.heads.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer, self.names),
        }
        tensors = {f"{name}.{key}": value for name, found in parts.items() for key, value in found.items()}
        facts = {
            "step": self.step, "seconds": self.seconds, "measured": self.measured, "settings": self.settings,
            "done": self.progress >= 1, "phase": self.phase, "ema_updates": self.ema.updates,
        }  # fmt: skip
        save_checkpoint(self.folder, tensors, facts)

    def run(self, stop_after: int = 0) -> dict[str, float]:
        """Trains to the end of the stage; returns the last validation's figures.

        Args:
            stop_after: stop after so many steps; 0 for never.

        Raises:
            TrainingDivergedError: the loss is no number; the last good checkpoint is kept.
            TrainError: the disk is full.
            Stopped: `stop_asked` was set, or `stop_after` is reached; the state is saved.
        """
        if self.progress < 1:
            with mixed_precision(self.stage.device):
                self.stage.begin(self.encoder)
        saved = validated = self.seconds
        scheduler = make_scheduler(self.optimizer, lambda: self.progress, self.stage.options.warmup)
        with ThreadPoolExecutor(1) as pool, repeatable(self.stage.device):
            coming = pool.submit(self.stage.prepare, self.step)
            while self.progress < 1:
                begun = time.perf_counter()
                batch, coming = coming.result(), pool.submit(self.stage.prepare, self.step + 1)
                self._train(batch)
                self.seconds += time.perf_counter() - begun
                if self.stop_asked or self.step == stop_after:
                    self.save()
                    raise Stopped
                if self.seconds - validated > self.pace.validate * 60 and self.progress < 1:
                    self._validate()
                    validated = self.seconds
                if self.seconds - saved > self.pace.save * 60:
                    self._timed(self.save)
                    saved = self.seconds
                scheduler.step()
            coming.cancel()
        self._validate()
        self.save()
        return self.measured

    def _train(self, batch: Any) -> None:
        progress = self.progress
        if self.phase != self.stage.phase(progress):
            # What the encoder was for other inputs is no part of what it becomes for these.
            self.ema.restart(self.encoder)
            self.phase = self.stage.phase(progress)
        self.encoder.train()
        self.stage.heads.train()
        with mixed_precision(self.stage.device):
            parts = self.stage.loss(self.encoder, batch, self.step, progress)
        total = torch.stack(list(parts.values())).sum()
        values = dict(zip(parts, torch.stack(list(parts.values())).tolist(), strict=True))
        if not all(map(math.isfinite, values.values())):
            wrong = ", ".join(
                f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)
            )
            raise TrainingDivergedError(
                f"the loss is no number at step {self.step} of stage {self.stage.name} ({wrong}); the last "
                f"good checkpoint is kept in {self.folder}: try a lower --rate"
            )
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        parameters = [value for group in self.optimizer.param_groups for value in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self.stage.options.clip)
        self.optimizer.step()
        self.ema.take(self.encoder)
        self.step += 1
        self.monitor.step(
            self.step, progress, values, rate=rate_factor(progress, self.stage.options.warmup), norm=norm
        )

    def _validate(self) -> None:
        self._timed(self._measure)
        self.monitor.validation(self.step, self.measured)

    def _measure(self) -> None:
        self.measured = self.stage.validate(self.ema.module, self.progress)

    def _timed(self, action) -> None:
        begun = time.perf_counter()
        action()
        self.seconds += time.perf_counter() - begun


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
        [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()],
        betas=(0.9, 0.98),
        fused=True,
    )


def rate_factor(progress: float, warmup: float) -> float:
    """The part of the full learning rate: a linear warmup, then a cosine down to LAST_RATE.

    Args:
        progress: of the stage, 0 to 1.
        warmup: share of the stage in which the rates rise.
    """
    if progress < warmup:
        return max(progress / warmup, LAST_RATE)
    done = min((progress - warmup) / max(1 - warmup, 1e-9), 1.0)
    return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * done)) / 2


def make_scheduler(
    optimizer: torch.optim.Optimizer, progress: Callable[[], float], warmup: float
) -> LambdaLR:
    """Makes an LR scheduler that follows the progress of a stage, which may be limited by the clock.

    timm's schedulers count steps, and go down to one rate for all parts.
    """
    return LambdaLR(optimizer, lambda _: rate_factor(progress(), warmup))


class Ema(ModelEmaV3):
    """timm's exponential moving average of weights and batch-norm statistics, which knows when it restarted.

    Args:
        encoder: its weights are the first value.
        decay: how much of the old value a step keeps; less in the first steps, (1 + n) / (10 + n).

    Attributes:
        module: the averaged encoder, in evaluation mode.
        updates: steps that the average has taken in since it was restarted.
    """

    def __init__(self, encoder: nn.Module, decay: float):
        super().__init__(encoder, decay, use_warmup=True, warmup_gamma=9.0, warmup_power=1.0)
        self.requires_grad_(False)
        self.updates = 0

    def restart(self, encoder: nn.Module) -> None:
        """Forgets what was averaged and begins with these weights."""
        self.set(encoder)
        self.updates = 0

    def take(self, encoder: nn.Module) -> None:
        """Takes in the weights after a step."""
        self.update(encoder, step=self.updates + 2)  # timm warms up from its third step on
        self.updates += 1
