"""Command `parity`: compares every engine with PyTorch's golden outputs."""

import argparse
from dataclasses import asdict

from . import parity
from .bundle import Bundle
from .command_arguments import add_measuring_arguments, chosen_models
from .report import parity_table, plain_json
from .terminal import measuring


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_measuring_arguments(parser)
    parser.add_argument("--threads", type=int, default=2, help="default: 2")


def run(options: argparse.Namespace) -> int:
    """Prints every signature's distance from PyTorch; returns 0, or 1 where a limit fails.

    Raises:
        InputError: The bundle cannot be used, or an engine is not installed.
    """
    bundle = Bundle.load(options.bundle)
    with measuring() as progress:
        rows = parity.measure(bundle, *chosen_models(options), threads=options.threads, on_progress=progress)
    passed = all(row.passed for row in rows)
    if options.json:
        print(plain_json({"rows": [asdict(row) for row in rows], "passed": passed}))
    else:
        print(parity_table(rows))
    return 0 if passed else 1
