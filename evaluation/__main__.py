"""Command line: `python -m evaluation`; `check`, `quality` and `arm64` are make targets too."""

import sys
from collections.abc import Sequence

from runtime.command_line import Command, run_program

COMMANDS = {
    "check": Command(
        "evaluation.check",
        "Gates a bundle: loads and runs every model file, counts, measures, and judges each limit.",
    ),
    "quality": Command(
        "evaluation.quality.command",
        "Measures a bundle's embeddings on the committed test split, float and INT8, in both engines.",
    ),
    "robustness": Command(
        "evaluation.quality.robustness_command",
        "Says how far INT8 moves embeddings of any screenshots, beside changes of a screen that nobody sees.",
    ),
    "arm64": Command(
        "evaluation.arm64.command",
        "Runs a bundle on emulated phone CPUs: parity, instructions, simulated latency.",
        "Exit status: 0 all well, 1 the target's latency or a phone's parity fails or a model does not run, "
        "2 bad use.",
    ),
    "setup-arm64": Command(
        "evaluation.arm64.setup_command",
        "Sets the ARM64 emulator up, without root, in build/arm64 or $POCKET_ARM64_CACHE.",
        "Every command that needs the emulator does this by itself.",
    ),
    "baseline": Command(
        "evaluation.arm64.baseline_command",
        "Lowers the committed instruction counts of the shipped model, or checks a bundle against them.",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns 0, 1 where a limit failed, 2 for bad use or bad input, 130 if interrupted."""
    return run_program("python -m evaluation", "Measures and judges bundles.", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())
