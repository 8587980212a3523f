"""Command line: `python -m export [PRESET]`, and its commands `search` and `sensitivity`."""

import sys
from collections.abc import Sequence

from runtime.command_line import Command, run_program

COMMANDS = {
    "bundle": Command(
        "export.command",
        "Turns an encoder into a verified bundle: ONNX and TFLite, float and INT8.",
        "Exit status: 0 all well, 1 parity or a step failed, 2 bad use or bad input.",
    ),
    "search": Command(
        "export.quantize.search.command",
        "Searches the cheapest quantization recipe: each group of layers in float, on the emulated phone.",
        "Ten to twenty minutes on two cores; what was tried before is not tried again.",
    ),
    "sensitivity": Command(
        "export.quantize.sensitivity_command",
        "Lists the layers that cost a bundle's shipped file its accuracy.",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns 0, 1 where a gated limit failed, 2 for bad input, 130 if interrupted."""
    return run_program("python -m export", "From config to bundle.", COMMANDS, arguments, default="bundle")


if __name__ == "__main__":
    sys.exit(main())
