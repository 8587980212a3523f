"""Command line: `python -m benchmarks`; `compare`, `ablation` and `advise` are make targets too."""

import sys
from collections.abc import Sequence

from runtime.command_line import Command, run_program

COMMANDS = {
    "compare": Command(
        "benchmarks.compare_command",
        "Compares the shipped encoder.tflite with what other tools make of the same weights: size, "
        "instructions, time, memory, and how close the embeddings stay to PyTorch's.",
        "A tool that fails is a row with its error. Exit status: 0 all well, 2 bad use or bad input.",
    ),
    "ablation": Command(
        "benchmarks.ablation.command",
        "Exports and measures every preset, and balanced with each single slot exchanged.",
        "A row that fails shows its error and does not stop the others. Exit status: 0 all well, 1 a row "
        "failed, 2 bad use or bad input.",
    ),
    "breadth": Command(
        "benchmarks.breadth",
        "Exports balanced with one timm backbone after the other, random weights, no recipe of its own: "
        "which are exported and stay near float, on which engine, and what that costs.",
        "Exit status: 0 all are within the limits, 1 one is not or failed, 2 bad use or bad input.",
    ),
    "ranges": Command(
        "benchmarks.ranges.command",
        "Quantizes one encoder with the ranges of its activations taken in every way, and measures each on "
        "screens that set none.",
    ),
    "advise": Command(
        "benchmarks.advice.command",
        "Picks a preset by four questions and the measured ablation; asks what no flag says.",
        "Exit status: 0 an answer, 2 bad use, or nothing measured yet.",
    ),
    "validate-latency": Command(
        "benchmarks.published_latency_command",
        "Compares simulated with published milliseconds of other networks; exits 1 where one is off by over "
        "10 %.",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns 0, 1 where a row failed, 2 for bad use or bad input, 130 if interrupted."""
    return run_program("python -m benchmarks", "Puts bundles side by side.", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())
