"""The command line's options, and the run that they ask for."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from encoder.config import PRESETS
from encoder.train import TrainError
from encoder.train.options import STAGES, ContextOptions, Options
from runtime.terminal import Parser

TEXT_SHARE = 0.15
"""Of --time-limit: the text stage's part where both stages are trained."""
DEFAULT_MINUTES = 60.0
NO_TEACHER = "none"


def make_parser() -> Parser:
    """Returns the parser of `python -m encoder.train`."""
    parser = Parser(
        prog="python -m encoder.train",
        description="Trains an encoder on rendered screens, on a CPU or a GPU: the text tower, then all.",
        epilog="Data: python -m calibration_data dataset. See docs/training.md.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--preset", default="balanced", help=f"one of: {', '.join(PRESETS)} (default balanced)")
    add("--data", default="build/screens", metavar="DIR", help="dataset folder (default build/screens)")
    add("--out", type=Path, metavar="DIR", help="folder of the run (default build/train/PRESET)")
    add("--stage", choices=("all", *STAGES), default="all", help="which part to train (default all)")
    add("--seed", type=int, default=0, help="of initial weights and of everything drawn (default 0)")
    add("--init", default="", metavar="FILE", help="safetensors file to start from")
    add(
        "--teacher", default="", metavar="PRESET|FILE|NAME",
        help="a preset or a safetensors file: imitate that encoder; any other name: sentence encoder for the "
        "text tower, a folder or a hub's model (default minilm-l6); none: no teacher",
    )  # fmt: skip
    add("--resume", action="store_true", help="go on where the run in --out stopped")
    add("--tensorboard", action="store_true", help="also write TensorBoard's files (needs its package)")
    add("--publish", action="store_true", help="at the end, make it the preset's committed checkpoint")
    add("--smoke", action="store_true", help="under a minute, on the committed screens: does everything run?")
    _add_lengths(parser)
    return parser


def _add_lengths(parser: Parser) -> None:
    add, context = parser.add_argument, ContextOptions()
    add(
        "--steps", type=_count, metavar="N", help="steps of the context stage; repeatable to the bit on a CPU"
    )
    add("--text-steps", type=_count, metavar="N", help="steps of the text stage (default: half of --steps)")
    add(
        "--time-limit", type=_minutes, metavar="MINUTES",
        help=f"instead of steps; the text stage gets {TEXT_SHARE:.0%}% of it where both are trained "
        f"(default {DEFAULT_MINUTES:.0f})",
    )  # fmt: skip
    add(
        "--batch",
        type=_count,
        default=context.batch,
        metavar="N",
        help="screens a step (default %(default)s)",
    )
    add(
        "--rate", type=_rate, default=context.rate, metavar="X",
        help="learning rate; 3 times as much for the backbone, a fifth for the text (default %(default)s)",
    )  # fmt: skip
    add(
        "--low-resolution-share", type=_share, default=context.low_resolution_share, metavar="X",
        help="first part of the context stage, at half the height and width (default %(default)s)",
    )  # fmt: skip
    add(
        "--rounded-share", type=_share, default=context.rounded_share, metavar="X",
        help="last part of the context stage, with the noise of quantization (default %(default)s)",
    )  # fmt: skip
    add(
        "--caption-weight", type=_rate, default=context.caption_weight, metavar="X",
        help="of the captions in the loss (default %(default)s)",
    )  # fmt: skip
    add(
        "--kind-weight", type=_weight, default=context.kind_weight, metavar="X",
        help="of the kind of app in the loss (default %(default)s)",
    )  # fmt: skip
    add(
        "--freeze-vision", action="store_true",
        help="context stage: leave the screen's part as it is, and train what reads its tokens; many times "
        "faster, at full resolution",
    )  # fmt: skip
    add("--save-every", type=_minutes, default=5.0, metavar="MINUTES", help="default 5")
    add("--validate-every", type=_minutes, default=4.0, metavar="MINUTES", help="default 4")


def read_options(given: argparse.Namespace) -> Options:
    """Turns parsed arguments into the options of a run.

    Raises:
        TrainError: they exclude each other.
    """
    limited = bool(given.steps or given.text_steps)
    if given.time_limit and limited:
        raise TrainError("--time-limit and --steps exclude each other: give one of them")
    minutes = 0.0 if limited else given.time_limit or DEFAULT_MINUTES
    text_share = TEXT_SHARE if given.stage == "all" else 1.0
    steps = (given.steps or 2 * given.text_steps) if limited else 0
    text_steps = (given.text_steps or max(steps // 2, 1)) if limited else 0
    default = Options()
    context = replace(
        default.context, steps=steps, minutes=minutes * (1 - text_share if given.stage == "all" else 1.0),
        batch=given.batch, rate=given.rate, backbone_rate=3 * given.rate, text_rate=0.2 * given.rate,
        low_resolution_share=0.0 if given.freeze_vision else given.low_resolution_share,
        rounded_share=given.rounded_share, frozen_vision=given.freeze_vision,
        caption_weight=given.caption_weight, kind_weight=given.kind_weight,
    )  # fmt: skip
    options = replace(
        default, preset=given.preset, data=given.data, seed=given.seed, init=given.init, context=context,
        text=replace(default.text, steps=text_steps, minutes=minutes * text_share),
    )  # fmt: skip
    options = _with_teacher(options, given.teacher)
    if options.teacher and given.freeze_vision:
        raise TrainError("--freeze-vision cannot imitate a whole encoder: give another --teacher")
    return options


def _with_teacher(options: Options, teacher: str) -> Options:
    if teacher == NO_TEACHER:
        return replace(options, text_teacher="")
    if teacher in PRESETS or teacher.endswith(".safetensors"):
        return replace(options, teacher=teacher)
    return replace(options, text_teacher=teacher or options.text_teacher)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of minutes")
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _weight(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is negative or no number")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value
