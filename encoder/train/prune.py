"""`python -m encoder.train prune`: its options, and what can be refused before PyTorch is loaded."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from encoder.config import PRESETS, EncoderConfig, find_checkpoint, preset
from encoder.options import prunable_keys
from encoder.sources import check_file
from encoder.train import TrainError
from encoder.train.command import (
    INTERRUPTED,  # noqa: F401 - `run_program` reads it
    RUNS,
    add_lengths,
    add_optimization,
    add_run,
    add_stage,
    make_run,
    train_and_publish,
)
from encoder.train.options import check_run, is_encoder, needed_stages, read_dataset, read_options

UNITS = {"": 1, "K": 10**3, "M": 10**6}
"""What may follow the number of a budget."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `prune`."""
    add = parser.add_argument_group("what").add_argument
    add("--preset", default="high_performance", help="the whole encoder (default %(default)s)")
    add(
        "--budget", type=read_budget, default="13.8M", metavar="N",
        help="stay below so many parameters: 13.8M, 500K or 9000000 (default %(default)s)",
    )  # fmt: skip
    add(
        "--weights", "--init", dest="init", default="", metavar="FILE",
        help="safetensors file of the whole encoder (default: the preset's trained checkpoint)",
    )  # fmt: skip
    add(
        "--teacher", default="", metavar="NAME",
        help="sentence encoder for the text tower, beside the whole encoder: a folder or a hub's model "
        "(default minilm-l6); none: the whole encoder alone, with --stage context",
    )  # fmt: skip
    add_stage(parser)
    add_run(parser, out="build/train/PRESET_pruned")
    add_lengths(parser)
    add_optimization(parser)
    # A pruned encoder is always aligned with the whole one, and has the blocks that it has.
    parser.set_defaults(align="", disable_blocks="")


def run(given: argparse.Namespace) -> int:
    """Prunes, then trains; returns 0, or 130 if stopped.

    Raises:
        TrainError: the preset cannot be pruned, or not to the budget, or the options do not go with pruning.
        TrainingDivergedError: the loss is not finite any more.
    """
    check_prunable(preset(given.preset))
    out = given.out or RUNS / f"{given.preset}_pruned"
    # It starts from a file, that of what was cut.
    stages = needed_stages(given.stage, given.preset, "pruned.safetensors")
    check_run(given, stages, out)
    check_fit(given)
    weights = whole_weights(given.preset, given.init)
    user_dim = preset(given.preset).user_embed_dim
    samples = None if stages == ("text",) else read_dataset(Path(given.data), user_dim)
    from encoder.train.pruning import PruningRun  # loads torch

    options, more = read_options(given, stages), {"budget": given.budget, "weights": weights}
    running = make_run(PruningRun, given, options, out, samples=samples, **more)
    if given.publish and not running.options.preset:
        raise TrainError("--publish: no preset is pruned to this size; leave it out")
    return train_and_publish(given, running, stages)


def read_budget(text: str) -> int:
    """Reads a number of parameters, such as 13.8M, 500K or 9000000.

    Raises:
        ArgumentTypeError: it is none.
    """
    unit = text[-1:].upper() if text[-1:].upper() in UNITS else ""
    try:
        value = float(text.removesuffix(text[-1:]) if unit else text) * UNITS[unit]
    except ValueError:
        value = math.nan
    if not 1 <= value < math.inf:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of parameters, such as 13.8M, 500K or 9000000"
        )
    return round(value)


def check_prunable(config: EncoderConfig) -> None:
    """Refuses a config of which nothing can be pruned, or that is pruned already.

    Raises:
        TrainError: naming the presets that can be pruned.
    """
    keys = prunable_keys(config)
    if not _is_whole(config):
        names = [name for name, known in PRESETS.items() if _is_whole(known)]
        what = "is pruned already" if keys else "has nothing that can be pruned"
        raise TrainError(f"this preset {what}; those that can be pruned: {', '.join(names)}")


def _is_whole(config: EncoderConfig) -> bool:
    keys = prunable_keys(config)
    return bool(keys) and all(getattr(config, key) is None for key in keys)


def check_fit(given: argparse.Namespace) -> None:
    """Refuses options that do not go with pruning.

    Raises:
        TrainError: naming the option.
    """
    if given.freeze_vision or given.freeze_text:
        raise TrainError(
            "--freeze-vision and --freeze-text: all that was cut has to learn again; leave them out"
        )
    if is_encoder(given.teacher):
        raise TrainError(
            f"--teacher {given.teacher}: the teacher is the whole encoder (--weights says which); "
            "--teacher can only name a sentence encoder for the text tower"
        )


def whole_weights(name: str, init: str) -> Path:
    """Returns the weights of the whole encoder: the file that is given, or the preset's checkpoint.

    Raises:
        TrainError: there are none.
        WeightsError: the file is missing, or none of safetensors.
    """
    file = Path(init) if init else find_checkpoint(preset(name))
    if file is None:
        raise TrainError(
            f"{name}: this preset has no trained weights: train it first, or name them with --weights FILE"
        )
    check_file(file)
    return file
