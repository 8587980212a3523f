"""Everything that decides what a training run learns, in one place; it is stored with every checkpoint.

Nothing here needs PyTorch, so that bad input is refused before it is loaded.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from calibration_data.samples import Sample, read_samples
from encoder.config import CHECKPOINTS, PRESETS
from encoder.options import options
from encoder.sources import check_file
from encoder.train import TrainError
from runtime.provenance import PUBLISHED

STAGES = ("text", "regions", "vision", "context")
ON_REQUEST = "vision"
"""The stage that runs only where it is asked for by name."""
WHOLE = ("vision", "context")
"""Stages that leave a whole encoder, which can be published."""
TEXT_SHARE, REGION_SHARE = 0.15, 0.2
"""Of --time-limit: the text stage's part where all stages are trained, and the regions stage's."""
DEFAULT_MINUTES = 60.0
NO_TEACHER = "none"
CHECKPOINT, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"
"""In a stage's folder: its newest state, and the one before."""


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
        ema: decay of the exponential moving average of the weights, which is what is kept.
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
        qat_share: last part of the stage, which is quantization-aware (`kernels.py`).
        qat_bits: of activations there.
        screens: folder of more screens, about which nothing else is known: half of each batch; or "".
    """

    qat_share: float = 0.25
    qat_bits: int = 8
    screens: str = ""


@dataclass(frozen=True, kw_only=True)
class ContextOptions(StageOptions):
    """The contrastive stage.

    Attributes:
        variants: contexts a screen: its own text, cut anew, and users of other styles.
        paraphrases: wrong targets a sample that only the user vector tells apart.
        hard_negatives: wrong targets a sample that belong to other screens of its class.
        low_resolution_share: first part of the stage, at half the height and width.
        qat_share: last part of the stage, which is quantization-aware (`kernels.py`).
        qat_bits: of activations there.
        frozen_vision: leave the screen's part of the encoder as it is, and train what reads its tokens.
        drop: chance of each context to lose its screen, its text or its user.
        text_batch: texts a step on which the text tower goes on learning from its teacher; 0 for none.
        caption_weight, screen_class_weight, box_weight, mask_weight, attribute_weight, text_weight,
            teacher_weight: of the parts of the loss.
    """

    variants: int = 3
    paraphrases: int = 3
    hard_negatives: int = 1
    low_resolution_share: float = 0.4
    qat_share: float = 0.25
    qat_bits: int = 8
    frozen_vision: bool = False
    drop: float = 0.12
    text_batch: int = 64
    caption_weight: float = 1.5
    screen_class_weight: float = 0.5
    box_weight: float = 0.5
    mask_weight: float = 2.0
    attribute_weight: float = 0.5
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
        disable_blocks: residual blocks of the backbone to disable, separated by commas.
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
    disable_blocks: str = ""
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


def read_options(given: argparse.Namespace, stages: Sequence[str]) -> Options:
    """Turns parsed arguments into the options of a run of these stages."""
    limited = counts_steps(given)
    minutes = 0.0 if limited else given.time_limit or DEFAULT_MINUTES
    shares = _shares(stages)
    steps = (given.steps or given.region_steps or 2 * given.text_steps) if limited else 0
    text_steps = (given.text_steps or max(steps // 2, 1)) if limited else 0
    default = Options()
    context = replace(
        default.context, steps=steps, minutes=minutes * shares["context"],
        batch=given.batch, rate=given.rate, backbone_rate=3 * given.rate,
        # A projection that learns alone begins with nothing.
        text_rate=given.rate * (1.0 if given.freeze_text else 0.2),
        low_resolution_share=0.0 if given.freeze_vision else given.low_resolution_share,
        qat_share=given.qat_share, qat_bits=given.qat_bits,
        frozen_vision=given.freeze_vision, frozen_text=given.freeze_text,
        caption_weight=given.caption_weight, screen_class_weight=given.screen_class_weight,
        text_weight=given.text_weight,
    )  # fmt: skip
    options = replace(
        default, preset=given.preset, data=given.data, seed=given.seed, init=given.init,
        align=given.align, disable_blocks=given.disable_blocks, context=context,
        text=replace(
            default.text, steps=text_steps, minutes=minutes * shares["text"], frozen_text=given.freeze_text
        ),
        regions=replace(
            default.regions, steps=(given.region_steps or steps) if limited else 0,
            minutes=minutes * shares["regions"],
        ),
        vision=replace(
            default.vision, steps=steps, minutes=minutes * shares["vision"], batch=given.batch,
            rate=given.rate, backbone_rate=given.rate, qat_share=given.qat_share, qat_bits=given.qat_bits,
            screens=given.screens,
        ),
    )  # fmt: skip
    if is_encoder(given.teacher):
        return replace(options, teacher=given.teacher)
    name = "" if given.teacher == NO_TEACHER else given.teacher or options.text_teacher
    return replace(options, text_teacher=name)


def is_encoder(teacher: str) -> bool:
    """Whether --teacher names a whole encoder: a preset, or a safetensors file of one."""
    return teacher in PRESETS or teacher.endswith(".safetensors")


def counts_steps(given: argparse.Namespace) -> bool:
    """Whether a number of steps limits the run, not the time."""
    return bool(given.steps or given.text_steps or given.region_steps)


def _shares(stages: Sequence[str]) -> dict[str, float]:
    """Part of the time that each stage gets."""
    if len(stages) == 1:
        return dict.fromkeys(STAGES, 1.0)
    shares = {"text": TEXT_SHARE, "regions": REGION_SHARE if "regions" in stages else 0.0, "vision": 0.0}
    return shares | {"context": 1 - sum(shares.values())}


def needed_stages(stage: str, preset: str, init: str) -> tuple[str, ...]:
    """Returns the stages that `--stage` means, in order.

    Of `all`, the regions stage is left out where the encoder has fixed regions or starts from a file.

    Raises:
        TrainError: the regions stage is asked for, and the preset has fixed regions.
    """
    finds = options("roi_method")[PRESETS[preset].roi_method].get("finds_regions", False)
    if stage == "regions" and not finds:
        raise TrainError(f"{preset} has fixed regions: there is nothing to learn about them")
    if stage != "all":
        return (stage,)
    from_file = init not in ("", PUBLISHED, *PRESETS)
    left_out = {ON_REQUEST, *(("regions",) if from_file or not finds else ())}
    return tuple(stage for stage in STAGES if stage not in left_out)


def check_run(given: argparse.Namespace, stages: Sequence[str], out: Path) -> None:
    """Refuses options that do not go together, and a folder that holds another run.

    Args:
        given: parsed arguments.
        stages: that are to be trained.
        out: folder of the run.

    Raises:
        TrainError: naming the option or the folder.
    """
    if given.time_limit and counts_steps(given):
        raise TrainError("--time-limit and --steps exclude each other: give one of them")
    if "text" in stages and given.teacher == NO_TEACHER:
        raise TrainError("--teacher none: the text stage learns from a teacher: name one, or --stage context")
    if given.publish and stages[-1] not in WHOLE:
        raise TrainError("--publish: an encoder is finished after the context stage; leave --stage out")
    if given.publish and stages == ("vision",) and not given.init:
        raise TrainError("--publish: the vision stage leaves text and fusion as --init has them: name it")
    if given.tensorboard and find_spec("tensorboard") is None:
        raise TrainError("--tensorboard needs the package tensorboard: pip install tensorboard")
    for folder in () if given.resume else (out / stage for stage in stages):
        if any((folder / name).is_file() for name in (CHECKPOINT, PREVIOUS)):
            raise TrainError(f"{folder}: holds a run already: add --resume, or choose another --out")


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


Samples = Mapping[str, list[Sample]]
"""Of a dataset, by split: `train` and `validation`."""


def read_dataset(folder: Path, user_embed_dim: int) -> Samples:
    """Reads the samples that a run trains on and validates with.

    Raises:
        SampleError: the folder holds no dataset.
        TrainError: a split has too few samples.
    """
    found = read_samples(folder, splits=("train", "validation"), user_embed_dim=user_embed_dim)
    samples = {split: [one for one in found if one.split == split] for split in ("train", "validation")}
    for split, own in samples.items():
        if len(own) < 2:
            raise TrainError(f"{folder}: {len(own)} samples of split {split}; 2 are needed")
    return samples


def check_weights(init: str, teacher: str, align: str) -> None:
    """Refuses weights to start from, to imitate or to align with that cannot be read; "" names none.

    Raises:
        TrainError: a preset has no trained weights.
        WeightsError: a file is missing, or none of safetensors.
    """
    named = {"" if init == PUBLISHED else init: None} | {
        name: teacher_source(name)[1] for name in (teacher, align)
    }
    for name, file in named.items():
        if name in PRESETS and not weights_file(name).is_file():
            raise TrainError(f"{name}: this preset has no trained weights")
        if name:
            check_file(file or weights_file(name))


def weights_file(name: str) -> Path:
    """The safetensors file that `--init` means: a preset's committed checkpoint, or a file."""
    return CHECKPOINTS / f"{name}.safetensors" if name in PRESETS else Path(name)


def teacher_source(teacher: str) -> tuple[str, Path | None]:
    """Reads PRESET, FILE or PRESET=FILE: the preset, "" for the student's own, and the file, if any."""
    if teacher in PRESETS:
        return teacher, None
    name, _, file = teacher.partition("=")
    return (name, Path(file)) if file and name in PRESETS else ("", Path(teacher))
