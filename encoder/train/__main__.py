"""Command line: `python -m encoder.train`, and its commands `prune`, `test-split` and `tokenizer`."""

import sys
from collections.abc import Sequence

from runtime.command_line import Command, run_program

STATUS = "Exit status: 0 all well, 1 the loss became no number, 2 bad use or bad input, 130 stopped. "
COMMANDS = {
    "train": Command(
        "encoder.train.command",
        "Trains an encoder on rendered screens, on a CPU or a GPU: the text tower, then all.",
        f"{STATUS}Data: python -m calibration_data dataset. See docs/training.md.",
    ),
    "prune": Command(
        "encoder.train.prune",
        "Prunes an encoder to a budget of parameters; what is left learns from the whole one.",
        f"{STATUS}See docs/training.md.",
    ),
    "test-split": Command(
        "encoder.train.test_split",
        "Makes the committed test split of a training set's test screens and embedded sentences.",
    ),
    "tokenizer": Command(
        "encoder.train.tokenizer",
        "Trains the byte-level BPE of roberta_tiny on the text corpora.",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns 0, 1 where training diverged, 2 for bad use or bad input, 130 if stopped."""
    return run_program(
        "python -m encoder.train",
        "Teaches encoders from rendered screens.",
        COMMANDS,
        arguments,
        default="train",
    )


if __name__ == "__main__":
    sys.exit(main())
