"""The command line's options of `python -m encoder.train prune`."""

from __future__ import annotations

import argparse
import math

from encoder.train.arguments import add_lengths, add_run
from runtime.command_line import Parser

COMMAND = "prune"
UNITS = {"": 1, "K": 10**3, "M": 10**6}
"""What may follow the number of a budget."""


def make_prune_parser() -> Parser:
    """Returns the parser of `python -m encoder.train prune`."""
    parser = Parser(
        prog=f"python -m encoder.train {COMMAND}",
        description="Prunes an encoder to a budget of parameters; what is left learns from the whole one.",
        epilog="See docs/training.md.",
        allow_abbrev=False,
    )
    add = parser.add_argument
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
        "(default minilm-l6); none: the whole encoder alone",
    )  # fmt: skip
    add_run(parser, out="build/train/PRESET_pruned")
    add_lengths(parser)
    # A pruned encoder is always aligned with the whole one, and has the blocks that it has.
    parser.set_defaults(align="", disable_blocks="")
    return parser


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
