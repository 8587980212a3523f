"""Command line: `pocket-encoder`, or `python -m` with the package's name."""

import sys
from collections.abc import Sequence

from .command_line import Command, run_program

COMMANDS = {
    "encode": Command(f"{__package__}.encode_command", "Embeds one screenshot and text."),
    "rank": Command(
        f"{__package__}.rank_command", "Sorts candidate texts by how well they fit a screenshot and text."
    ),
    "parity": Command(
        f"{__package__}.parity_command", "Compares every engine with PyTorch's golden outputs."
    ),
    "bench": Command(f"{__package__}.bench_command", "Measures latency and memory in fresh processes."),
}


def main(arguments: Sequence[str] | None = None, *, prog: str = "pocket-encoder") -> int:
    """Runs a command.

    Returns:
        0 = well, 1 = a limit failed, 2 = bad use or bad input, 130 = interrupted.
    """
    return run_program(prog, "Runs and measures an exported encoder.", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main(prog=f"python -m {__package__}"))
