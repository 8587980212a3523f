"""Command line: `python -m calibration_data render | dataset | contact-sheet`."""

import sys
from collections.abc import Sequence

from runtime.command_line import Command, run_program

STATUS = "Exit status: 0 all well, 2 bad use or bad input, 130 interrupted."
COMMANDS = {
    "render": Command(
        "calibration_data.generator.render_command",
        "Draws the calibration and parity screens with chromium, then their contact sheet.",
        STATUS,
    ),
    "dataset": Command(
        "calibration_data.generator.dataset_command",
        "Draws a training set of thousands of screens; a run that was stopped goes on where it was.",
        f"{STATUS} The committed test split is made from it by python -m encoder.train test-split.",
    ),
    "contact-sheet": Command(
        "calibration_data.generator.contact_sheet",
        "Makes one picture of 24 varied screens of a folder.",
        STATUS,
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns 0, 2 for bad use or bad input, 130 if interrupted."""
    return run_program(
        "python -m calibration_data",
        "Renders the phone screens that calibrate, train and check the encoder.",
        COMMANDS,
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
