"""The command line's options, and the run that they ask for."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from encoder.config import PRESETS
from encoder.options import options
from encoder.train import TrainError
from encoder.train.options import STAGES, ContextOptions, Options
from runtime.command_line import Parser

TEXT_SHARE, REGION_SHARE = 0.15, 0.2
"""Of --time-limit: the text stage's part where all stages are trained, and the regions stage's."""
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
    add(
        "--init", default="", metavar="FILE|PRESET|published",
        help="safetensors file of the whole encoder to start from; a preset: of its trained weights the "
        "parts that both have are taken; or published weights of backbone and text model",
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
        "linear layer of each part brings them (by least squares)",
    )  # fmt: skip
    add(
        "--disable-blocks", default="", metavar="BLOCK,BLOCK",
        help="switch residual blocks of the backbone off, such as stages_0.0; they stay off, and an export "
        "leaves them out",
    )  # fmt: skip
    add("--smoke", action="store_true", help="under a minute, on the committed screens: does everything run?")
    add_run(parser, out="build/train/PRESET")
    add_lengths(parser)
    return parser


def add_run(parser: Parser, *, out: str) -> None:
    """Adds the options of every run; `out` is its default folder, as people read it."""
    add = parser.add_argument
    add("--data", default="build/screens", metavar="DIR", help="dataset folder (default build/screens)")
    add("--out", type=Path, metavar="DIR", help=f"folder of the run (default {out})")
    add(
        "--stage", choices=("all", *STAGES), default="all",
        help="which part to train; vision, which imitates --teacher's screen tokens, is no part of all "
        "(default all)",
    )  # fmt: skip
    add("--seed", type=int, default=0, help="of initial weights and of everything drawn (default 0)")
    add("--resume", action="store_true", help="go on where the run in --out stopped")
    add("--tensorboard", action="store_true", help="also write TensorBoard's files (needs its package)")
    add("--publish", action="store_true", help="at the end, make it the preset's committed checkpoint")


def add_lengths(parser: Parser) -> None:
    """Adds how long, how fast and at what a run learns."""
    add, context = parser.add_argument, ContextOptions()
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
    add(
        "--batch",
        type=_count,
        default=context.batch,
        metavar="N",
        help="screens a step (default %(default)s)",
    )
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
        "--rounded-share", type=_share, default=context.rounded_share, metavar="X",
        help="last part of the context or vision stage, with the noise of quantization (default %(default)s)",
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
        "--text-weight", type=_weight, default=context.text_weight, metavar="X",
        help="of the sentence encoder's view of texts in the loss of the context stage, which embeds all "
        "corpora first; 0: without it (default %(default)s)",
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
    add("--save-every", type=_minutes, default=5.0, metavar="MINUTES", help="default 5")
    add("--validate-every", type=_minutes, default=4.0, metavar="MINUTES", help="default 4")


def read_options(given: argparse.Namespace) -> Options:
    """Turns parsed arguments into the options of a run.

    Raises:
        TrainError: they exclude each other.
    """
    limited = bool(given.steps or given.text_steps or given.region_steps)
    if given.time_limit and limited:
        raise TrainError("--time-limit and --steps exclude each other: give one of them")
    minutes = 0.0 if limited else given.time_limit or DEFAULT_MINUTES
    shares = _shares(given)
    steps = (given.steps or given.region_steps or 2 * given.text_steps) if limited else 0
    text_steps = (given.text_steps or max(steps // 2, 1)) if limited else 0
    default = Options()
    context = replace(
        default.context, steps=steps, minutes=minutes * shares["context"],
        batch=given.batch, rate=given.rate, backbone_rate=3 * given.rate,
        # A projection that learns alone begins with nothing.
        text_rate=given.rate * (1.0 if given.freeze_text else 0.2),
        low_resolution_share=0.0 if given.freeze_vision else given.low_resolution_share,
        rounded_share=given.rounded_share, frozen_vision=given.freeze_vision, frozen_text=given.freeze_text,
        caption_weight=given.caption_weight, kind_weight=given.kind_weight, text_weight=given.text_weight,
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
            rate=given.rate, backbone_rate=given.rate, rounded_share=given.rounded_share,
        ),
    )  # fmt: skip
    options = _with_teacher(options, given.teacher)
    if options.teacher and given.freeze_vision:
        raise TrainError("--freeze-vision cannot imitate a whole encoder: give another --teacher")
    return options


def _shares(given: argparse.Namespace) -> dict[str, float]:
    """Part of the time that each stage gets."""
    if given.stage != "all":
        return dict.fromkeys(STAGES, 1.0)
    methods = options("roi_method")
    finds = given.preset in PRESETS and methods[PRESETS[given.preset].roi_method].get("finds_regions", False)
    return {
        "text": TEXT_SHARE,
        "regions": REGION_SHARE,
        "vision": 0.0,
        "context": 1 - TEXT_SHARE - (REGION_SHARE if finds else 0),
    }


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
