"""Command line: `python -m encoder.train [prune] [--preset balanced] [--data build/screens]`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from encoder.train import TrainError, TrainingDivergedError
from encoder.train.arguments import make_parser, read_options
from encoder.train.options import STAGES, Options
from encoder.train.pruning.arguments import COMMAND, make_prune_parser
from runtime.command_line import error_line

if TYPE_CHECKING:
    from rich.console import Console

    from encoder.train.run import Run

ROOT = Path(__file__).parents[2]
EXIT_FAILED, EXIT_USE, EXIT_INTERRUPT = 1, 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Trains; returns 0, 1 where the loss became no number, 2 for bad use or bad input, 130 if stopped."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    pruning = arguments[:1] == [COMMAND]
    parser = make_prune_parser() if pruning else make_parser()
    given, unknown = parser.parse_known_args(arguments[pruning:])
    if unknown:
        parser.refuse(unknown)
    try:
        return _smoke(given) if not pruning and given.smoke else _train(given, arguments)
    except TrainingDivergedError as error:
        return _fail(str(error), EXIT_FAILED)
    except ValueError as error:
        return _fail(str(error), EXIT_USE)
    except OSError as error:
        return _fail(f"{error.filename or 'disk'}: {error.strerror}", EXIT_USE)
    except KeyboardInterrupt:
        return _fail("interrupted before the first step; nothing is lost", EXIT_INTERRUPT)


def _train(given: argparse.Namespace, arguments: list[str]) -> int:
    options = read_options(given)
    import torch
    from rich.console import Console

    from encoder.train.loop import Stopped
    from encoder.train.publish import publish

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    console = Console(stderr=True)
    run = _make_run(given, options, console)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: run.stop())
    try:
        run.train(STAGES if given.stage == "all" else (given.stage,))
    except Stopped:
        return _fail(f"stopped; the state is saved, --resume goes on ({run.out})", EXIT_INTERRUPT)
    if given.publish:
        console.print(f"published: {publish(run.out, run.options.preset, arguments)}", soft_wrap=True)
    return 0


def _make_run(given: argparse.Namespace, options: Options, console: Console) -> Run:
    from encoder.train.loop import Pace

    pace, runs = Pace(given.save_every, given.validate_every), ROOT / "build" / "train"
    more = {"resume": given.resume, "pace": pace, "tensorboard": given.tensorboard}
    if "budget" not in given:
        from encoder.train.run import Run

        return Run(options, given.out or runs / options.preset, console, **more)
    from encoder.train.pruning.run import PruningRun

    out = given.out or runs / f"{options.preset}_pruned"
    run = PruningRun(options, given.budget, out, console, **more)
    if given.publish and not run.options.preset:
        raise TrainError("--publish: no preset is pruned to this size; leave it out")
    return run


def _smoke(given: argparse.Namespace) -> int:
    from rich.console import Console

    from encoder.train.smoke import smoke

    console = Console(stderr=True)
    problems = smoke(given.out or ROOT / "build" / "train" / "smoke", given.seed, console)
    if problems:
        return _fail("; ".join(problems), EXIT_FAILED)
    console.print("smoke: the loss falls, and a stopped and resumed run gives the same weights to the bit")
    return 0


def _fail(message: str, code: int) -> int:
    sys.stderr.write(error_line(message))
    return code


if __name__ == "__main__":
    sys.exit(main())
