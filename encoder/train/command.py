"""`python -m encoder.train`: its options, the run that they ask for, and the run itself.

What needs PyTorch is imported inside functions, so that help and refusals do not wait for it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration_data.samples import image_files
from encoder.config import PRESETS, preset
from encoder.train import TrainError
from encoder.train.options import (
    DEFAULT_MINUTES,
    ON_REQUEST,
    STAGES,
    TEXT_SHARE,
    ContextOptions,
    Options,
    Samples,
    check_run,
    check_weights,
    is_encoder,
    needed_stages,
    read_dataset,
    read_options,
)
from runtime.command_line import EXIT_INTERRUPT, error_line
from runtime.errors import FailedError

if TYPE_CHECKING:
    from encoder.train.run import Run

INTERRUPTED = "interrupted before the first step; nothing is lost"
RUNS = Path(__file__).parents[2] / "build" / "train"


def _number(
    kind: Callable[[str], float], wrong: str, fits: Callable[[float], bool]
) -> Callable[[str], float]:
    """Reads a number of the command line; what does not fit is refused as `wrong`."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"{text} is {wrong}")
        return value

    return read


_count = _number(int, "not a positive whole number", lambda value: value >= 1)
_seed = _number(int, "negative or no whole number", lambda value: value >= 0)
_minutes = _number(float, "not a positive number of minutes", lambda value: 0 < value < 1e6)
_rate = _number(float, "not a positive number", lambda value: 0 < value < float("inf"))
_weight = _number(float, "negative or no number", lambda value: 0 <= value < float("inf"))
_share = _number(float, "not between 0 and 1", lambda value: 0 <= value <= 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `train`."""
    add = parser.add_argument_group("what").add_argument
    add("--preset", default="balanced", help=f"one of: {', '.join(PRESETS)} (default %(default)s)")
    add(
        "--init", default="", metavar="FILE|PRESET|published",
        help="safetensors file of the whole encoder to start from; a preset: of its trained weights the "
        "parts that both have are taken; or published weights of backbone and text model (default: random)",
    )  # fmt: skip
    add(
        "--teacher", default="", metavar="PRESET|FILE|PRESET=FILE|NAME",
        help="a preset, or a safetensors file of this preset or another one: imitate that encoder; any other "
        "name: sentence encoder for the text tower, a folder or a hub's model (default minilm-l6); none: no "
        "teacher",
    )  # fmt: skip
    add(
        "--align", default="", metavar="PRESET|FILE|PRESET=FILE",
        help="context stage: begin with that encoder's fusion, and with its tokens, as near as the last "
        "linear layer of each part brings them by least squares (default: no alignment)",
    )  # fmt: skip
    add(
        "--disable-blocks", default="", metavar="BLOCK,BLOCK",
        help="disable residual blocks of the backbone, such as stages_0.0; they stay so, and an export "
        "leaves them out (default: none)",
    )  # fmt: skip
    add("--smoke", action="store_true", help="under a minute, on the committed screens: does everything run?")
    add_stage(parser)
    add_run(parser, out="build/train/PRESET")
    add_lengths(parser)
    add_optimization(parser)


def run(given: argparse.Namespace) -> int:
    """Trains; returns 0, or 130 if stopped.

    Raises:
        TrainError: the options, the data or the weights cannot be used.
        TrainingDivergedError: the loss is not finite any more.
    """
    if given.smoke:
        return _smoke(given)
    out = given.out or RUNS / given.preset
    stages, samples = _check(given, out)
    from encoder.train.run import Run

    running = make_run(Run, given, read_options(given, stages), out, samples=samples)
    return train_and_publish(given, running, stages)


def add_stage(parser: argparse.ArgumentParser) -> None:
    """Adds which part is trained, on what."""
    add = parser.add_argument_group("data and stages").add_argument
    add("--data", default="build/screens", metavar="DIR", help="dataset folder (default %(default)s)")
    add(
        "--screens", default="", metavar="DIR",
        help="vision stage: half of each batch are images of this folder, any screenshots (default: none)",
    )  # fmt: skip
    add(
        "--stage", choices=("all", *STAGES), default="all",
        help="which part to train; vision, which imitates --teacher's screen tokens, is no part of all "
        "(default %(default)s)",
    )  # fmt: skip
    add(
        "--freeze-vision", action="store_true",
        help="context stage: leave the screen's part as it is, and train what reads its tokens; many times "
        "faster, at full resolution",
    )  # fmt: skip
    add(
        "--freeze-text", action="store_true",
        help="of the text tower train the projection alone; the rest stays as published",
    )  # fmt: skip


def add_run(parser: argparse.ArgumentParser, *, out: str) -> None:
    """Adds the options of every run; `out` is its default folder, as people read it."""
    add = parser.add_argument_group("run").add_argument
    add("--out", type=Path, metavar="DIR", help=f"folder of the run (default {out})")
    add(
        "--seed", type=_seed, default=0,
        help="of initial weights and of everything drawn (default %(default)s)",
    )  # fmt: skip
    add("--resume", action="store_true", help="go on where the run in --out stopped")
    minutes = {"type": _minutes, "metavar": "MINUTES"}
    add("--save-every", **minutes, default=5.0, help="checkpoints (default %(default)g)")
    add("--validate-every", **minutes, default=4.0, help="default %(default)g")
    add("--tensorboard", action="store_true", help="also write TensorBoard's files (needs its package)")
    add("--publish", action="store_true", help="at the end, make it the preset's committed checkpoint")


def add_lengths(parser: argparse.ArgumentParser) -> None:
    """Adds how long a run learns."""
    add = parser.add_argument_group("length").add_argument
    add(
        "--steps", type=_count, metavar="N",
        help="steps of the context stage, or of the vision stage; repeatable to the bit on a CPU",
    )  # fmt: skip
    add("--text-steps", type=_count, metavar="N", help="steps of the text stage (default: half of --steps)")
    add(
        "--region-steps", type=_count, metavar="N",
        help="steps of the regions stage, which presets have that find regions (default: as --steps)",
    )  # fmt: skip
    add(
        "--time-limit", type=_minutes, metavar="MINUTES",
        help=f"instead of steps; the text stage gets {TEXT_SHARE:.0%}% of it where both are trained "
        f"(default {DEFAULT_MINUTES:.0f})",
    )  # fmt: skip


def add_optimization(parser: argparse.ArgumentParser) -> None:
    """Adds how fast and at what a run learns."""
    context = ContextOptions()
    add = parser.add_argument_group("optimization").add_argument
    add(
        "--batch", type=_count, default=context.batch, metavar="N",
        help="screens a step (default %(default)s)",
    )  # fmt: skip
    add(
        "--rate", type=_rate, default=context.rate, metavar="X",
        help="learning rate; 3 times as much for the backbone, a fifth for the text but with "
        "--freeze-text (default %(default)s)",
    )  # fmt: skip
    add(
        "--low-resolution-share", type=_share, default=context.low_resolution_share, metavar="X",
        help="first part of the context stage, at half the height and width (default %(default)s)",
    )  # fmt: skip
    add(
        "--qat-share", type=_share, default=context.qat_share, metavar="X",
        help="last part of the context or vision stage, quantization-aware: with fake quantization "
        "(default %(default)s)",
    )  # fmt: skip
    add(
        "--qat-bits", type=int, choices=(6, 7, 8), default=context.qat_bits,
        help="of activations there; fewer than 8 teach an encoder to bear more noise than it will meet "
        "(default %(default)s)",
    )  # fmt: skip
    add(
        "--caption-weight", type=_rate, default=context.caption_weight, metavar="X",
        help="of the captions in the loss (default %(default)s)",
    )  # fmt: skip
    add(
        "--screen-class-weight", type=_weight, default=context.screen_class_weight, metavar="X",
        help="of the screen class in the loss (default %(default)s)",
    )  # fmt: skip
    add(
        "--text-weight", type=_weight, default=context.text_weight, metavar="X",
        help="of the sentence encoder's similarities in the loss of the context stage, which embeds all "
        "corpora first; 0: without it (default %(default)s)",
    )  # fmt: skip


def _check(given: argparse.Namespace, out: Path) -> tuple[tuple[str, ...], Samples | None]:
    """Refuses what cannot be trained; returns the stages to train, and the samples that they need."""
    config = preset(given.preset)
    stages = needed_stages(given.stage, given.preset, given.init)
    check_run(given, stages, out)
    teacher = given.teacher if is_encoder(given.teacher) else ""
    if given.stage == ON_REQUEST and not teacher:
        raise TrainError(
            f"--stage {ON_REQUEST} imitates another encoder: name it with --teacher PRESET or FILE"
        )
    if given.screens and given.stage != ON_REQUEST:
        raise TrainError(f"--screens: only --stage {ON_REQUEST} learns from screens that have no labels")
    if given.screens:
        image_files(Path(given.screens))
    if teacher and given.freeze_vision:
        raise TrainError("--freeze-vision cannot imitate a whole encoder: give another --teacher")
    check_weights(given.init, teacher, given.align)
    return stages, None if stages == ("text",) else read_dataset(Path(given.data), config.user_embed_dim)


def make_run(
    make: Callable[..., Run], given: argparse.Namespace, options: Options, out: Path, **more: Any
) -> Run:
    """Makes a run with what the command line says about showing, saving and resuming."""
    import torch
    from rich.console import Console

    from encoder.train.loop import Pace

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    pace = Pace(given.save_every, given.validate_every)
    console = Console(stderr=True)
    return make(options, out, console, resume=given.resume, pace=pace, tensorboard=given.tensorboard, **more)


def train_and_publish(given: argparse.Namespace, running: Run, stages: tuple[str, ...]) -> int:
    """Trains stages; returns 0, or 130 where a signal stopped it."""
    from encoder.train.checkpoint import publish
    from encoder.train.loop import Stopped

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: running.stop())
    try:
        running.train(stages)
    except Stopped:
        sys.stderr.write(error_line(f"stopped; the state is saved, --resume goes on ({running.out})"))
        return EXIT_INTERRUPT
    if given.publish:
        published = publish(running.out, running.options.preset, sys.argv[1:])
        running.console.print(f"published: {published}", soft_wrap=True)
    return 0


def _smoke(given: argparse.Namespace) -> int:
    from rich.console import Console

    from encoder.train.smoke import smoke

    console = Console(stderr=True)
    problems = smoke(given.out or RUNS / "smoke", given.seed, console)
    if problems:
        raise FailedError("; ".join(problems))
    console.print("smoke: the loss falls, and a stopped and resumed run gives the same weights to the bit")
    return 0
