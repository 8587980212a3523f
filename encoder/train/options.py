"""Everything that decides what a training run learns, in one place; it is stored with every checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoder.train import TrainError

STAGES = ("text", "regions", "vision", "context")
ON_REQUEST = "vision"
"""The stage that runs only where it is asked for by name."""


@dataclass(frozen=True, kw_only=True)
class StageOptions:
    """One stage: how long, how many at once, how fast.

    Attributes:
        steps: optimizer steps; 0 where `minutes` limits the stage.
        minutes: of training time, validation and saving included; 0 where `steps` does. The learning rate
            then follows the clock, so only a run limited by steps can be repeated to the bit.
        batch: samples a step.
        rate: learning rate of new parts.
        backbone_rate: of the backbone.
        text_rate: of the text tower.
        weight_decay: of weight matrices; norms, biases and word vectors have none.
        warmup: share of the stage in which the rates rise.
        clip: largest norm of the whole gradient.
        ema: decay of the averaged weights, which are what is kept.
        frozen_text: of the text tower train the projection alone, and leave the rest as published.
    """

    steps: int = 0
    minutes: float = 0.0
    batch: int = 96
    rate: float = 1e-3
    backbone_rate: float = 3e-3
    text_rate: float = 2e-4
    weight_decay: float = 0.05
    warmup: float = 0.05
    clip: float = 1.0
    ema: float = 0.998
    frozen_text: bool = False


@dataclass(frozen=True, kw_only=True)
class VisionOptions(StageOptions):
    """The stage that imitates another encoder's screen tokens.

    Attributes:
        rounded_share: last part of the stage, in which the encoder hears the noise of quantization.
    """

    rounded_share: float = 0.25


@dataclass(frozen=True, kw_only=True)
class ContextOptions(StageOptions):
    """The contrastive stage.

    Attributes:
        variants: contexts a screen: its own text, cut anew, and users of other styles.
        siblings: wrong targets a sample that only the user vector tells apart.
        rivals: wrong targets a sample that belong to other screens of its kind of app.
        low_resolution_share: first part of the stage, at half the height and width.
        rounded_share: last part of the stage, in which the encoder hears the noise of quantization.
        frozen_vision: leave the screen's part of the encoder as it is, and train what reads its tokens.
        drop: chance of each context to lose its screen, its text or its user.
        text_batch: texts a step on which the text tower goes on learning from its teacher; 0 for none.
        caption_weight, kind_weight, box_weight, mask_weight, look_weight, text_weight, teacher_weight: of the
            parts of the loss.
    """

    variants: int = 3
    siblings: int = 3
    rivals: int = 1
    low_resolution_share: float = 0.4
    rounded_share: float = 0.25
    frozen_vision: bool = False
    drop: float = 0.12
    text_batch: int = 64
    caption_weight: float = 1.5
    kind_weight: float = 0.5
    box_weight: float = 0.5
    mask_weight: float = 2.0
    look_weight: float = 0.5
    text_weight: float = 1.0
    teacher_weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """A run.

    Attributes:
        preset: which encoder.
        seed: of initial weights and of everything drawn.
        text: first stage: the text tower learns from a sentence encoder.
        regions: second stage, where the encoder finds regions: its masks learn from the drawn boxes.
        vision: only where it is asked for: the screen's part learns another encoder's tokens.
        context: last stage: screens, texts and users are brought together.
        text_teacher: sentence encoder by name, or "" to train without one.
        teacher: preset or safetensors file of a whole encoder to imitate, or "".
        align: as `teacher`: an encoder whose fusion the context stage starts with, and whose tokens, as near
            as last linear layers bring them; or "".
        init: safetensors file to start from; a preset, of which the parts that both have are taken;
            `published`; or "".
        disable_blocks: residual blocks of the backbone to switch off, separated by commas.
        data: dataset folder.
    """

    preset: str = "balanced"
    seed: int = 0
    text: StageOptions = StageOptions(batch=256, text_rate=2e-3, weight_decay=0.01)
    regions: StageOptions = StageOptions(batch=48, rate=3e-3, weight_decay=0.01)
    vision: VisionOptions = VisionOptions()
    context: ContextOptions = ContextOptions()
    text_teacher: str = "minilm-l6"
    teacher: str = ""
    align: str = ""
    init: str = ""
    silence: str = ""
    data: str = "build/screens"

    def to_dict(self) -> dict[str, Any]:
        """Returns a dict that JSON can hold."""
        return dataclasses.asdict(self)

    def of_stage(self, stage: str) -> dict[str, Any]:
        """Returns what decides one stage's result, flat: `preset`, `batch` and so on."""
        common = {name: value for name, value in self.to_dict().items() if name not in STAGES}
        unused = {"context": (), "vision": ("align",)}.get(stage, ("teacher", "align"))
        common = {name: value for name, value in common.items() if name not in unused}
        return {**common, **dataclasses.asdict(getattr(self, stage))}


def refuse_differences(saved: Mapping[str, Any], asked: Mapping[str, Any], where: Path) -> None:
    """Compares the settings of a checkpoint with those of this run.

    Raises:
        TrainError: they differ; the message names each setting with both values.
    """
    names = sorted(saved.keys() | asked.keys())
    different = [name for name in names if saved.get(name) != asked.get(name)]
    if different:
        pairs = "; ".join(f"{name} was {saved.get(name)!r}, now {asked.get(name)!r}" for name in different)
        raise TrainError(
            f"{where}: was made with other settings: {pairs}; repeat them, or choose another --out"
        )
