"""`python -m benchmarks advise`: four questions and an answer."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.ablation import results
from benchmarks.ablation.tables import NOTHING, label, number
from benchmarks.advice.rules import PREFERENCES, Advice, Answers, Candidate, advise
from encoder.config import PRESETS
from evaluation.terminal.tables import open_console, print_table
from runtime.errors import InputError
from runtime.provenance import Weights

YES, NO = ("y", "yes"), ("n", "no")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    data, device = parser.add_mutually_exclusive_group(), parser.add_mutually_exclusive_group()
    for group, name, what in (
        (data, "data", "there are screens and texts to train on"),
        (device, "device", "the target phone is at hand to measure on"),
    ):
        group.add_argument(f"--{name}", dest=name, action="store_true", default=None, help=what)
        group.add_argument(f"--no-{name}", dest=name, action="store_false", default=None, help="or not")
    parser.add_argument("--weeks", type=_weeks, metavar="N", help="weeks until it has to ship")
    parser.add_argument("--prefer", choices=PREFERENCES, help="what matters more")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def run(options: argparse.Namespace) -> int:
    """Asks what the flags do not say, and answers; returns 0.

    Raises:
        InputError: there is no terminal to ask on, or nothing has been measured.
    """
    presets = {name: config.to_dict() for name, config in PRESETS.items()}
    found = [  # a key that a measured config lacks came later, with what it was as its default
        row for row in results.load() if presets.get(row.name) == presets.get(row.name, {}) | row.config
    ]
    answers = _ask(options)
    advice = advise(answers, PRESETS, found)
    if options.json:
        candidates = [candidate.to_dict() for candidate in advice.candidates]
        print(json.dumps(vars(advice) | {"answers": vars(answers), "candidates": candidates}))
    else:
        _print(open_console(), advice, answers)
    return 0


def _weeks(text: str) -> int:
    weeks = int(text)
    if weeks < 1:
        raise argparse.ArgumentTypeError(f"{weeks} is not a number of weeks: at least 1")
    return weeks


_weeks.__name__ = "number of weeks"  # argparse names the type so where the text is no number


def _yes(text: str) -> bool:
    if text not in (*YES, *NO):
        raise ValueError(text)
    return text in YES


def _preference(text: str) -> str:
    if text not in PREFERENCES:
        raise ValueError(text)
    return text


QUESTIONS: dict[str, tuple[str, str, Callable[[str], Any]]] = {
    "data": ("Are screens and texts to train on ready?", "y/n", _yes),
    "device": ("Is the target phone at hand to measure on?", "y/n", _yes),
    "weeks": ("How many weeks until it ships?", "1, 2, ...", _weeks),
    "prefer": ("What matters more?", "/".join(PREFERENCES), _preference),
}
"""By option: the question, the form of its answer, and what reads it."""
FLAGS = {
    "data": "--data or --no-data",
    "device": "--device or --no-device",
    "weeks": "--weeks N",
    "prefer": f"--prefer {'|'.join(PREFERENCES)}",
}


def _ask(options: argparse.Namespace) -> Answers:
    missing = [name for name in QUESTIONS if getattr(options, name) is None]
    if missing and not sys.stdin.isatty():
        flags = ", ".join(FLAGS[name] for name in missing)
        raise InputError(f"there is no terminal to ask on; add {flags}")
    given = {name: getattr(options, name) for name in QUESTIONS}
    return Answers(**given | {name: _answer(*QUESTIONS[name]) for name in missing})


def _answer(question: str, form: str, read: Callable[[str], Any]) -> Any:
    """Asks on standard error until the answer can be read."""
    while True:
        sys.stderr.write(f"{question} [{form}] ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise InputError(
                "the questions were not answered to the end; every question has a flag, see --help"
            )
        try:
            return read(line.strip().lower())
        except (ValueError, argparse.ArgumentTypeError):
            sys.stderr.write(f"  please answer {form}\n")


def _print(console: Console, advice: Advice, answers: Answers) -> None:
    def say(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=True)

    say(advice.preset, "bold green" if advice.fits else "bold yellow")
    say(f"{advice.reason[:1].upper()}{advice.reason[1:]}.")
    print_table(console, _table(advice))
    for candidate in advice.candidates:
        if candidate.obstacles:
            says = "does not fit: " if candidate.result is not None else ""
            say(f"{candidate.name} {says}{'; '.join(candidate.obstacles)}")
    chosen = next(candidate for candidate in advice.candidates if candidate.name == advice.preset)
    say("Next:", "bold")
    for line in _next(chosen, answers):
        say(f"  {line}")


def _next(chosen: Candidate, answers: Answers) -> Sequence[str]:
    lines = [f"make export PRESET={chosen.name}", f"make check PRESET={chosen.name}"]
    if answers.data:
        lines.insert(0, f"make train PRESET={chosen.name}  # on your own screens: docs/training.md")
    if not answers.device:
        lines.append(
            f"make arm64 PRESET={chosen.name}  # simulated until there is a phone: docs/performance.md"
        )
    return lines


COLUMNS = (
    "preset",
    "M instructions",
    "ms, simulated",
    "MB",
    "parameters, M",
    "R@1, %",
    "mean-centred cosine",
    "weights",
    "weeks",
    "fits",
)


def _table(advice: Advice) -> Table:
    table = Table(title="measured (docs/ablation.md)", title_justify="left")
    for name in COLUMNS:
        text = name in ("preset", "weights", "fits")
        table.add_column(
            name, justify="left" if text else "right", no_wrap=name in ("preset", "ms, simulated")
        )
    for candidate in advice.candidates:
        style = "bold green" if candidate.name == advice.preset else None
        table.add_row(*map(Text, _cells(candidate)), style=style)
    return table


def _cells(candidate: Candidate) -> tuple[str, ...]:
    fits = "no" if candidate.obstacles else "yes"
    if candidate.result is None:
        return (candidate.name, *[NOTHING] * 8, "not measured")
    result, figures = candidate.result, candidate.result.figures
    encode = result.phone("encode")
    span = "-".join(f"{ms:.1f}" for ms in encode["ms_range"])
    return (
        label(result),
        number(result.m_instructions(), 1),
        f"{encode['ms']:.1f} ({span})",
        number(figures["file_bytes"], 2, 1e6),
        number(figures["parameters"]["total"], 2, 1e6),
        number(result.quality(), 1, 0.01),
        number(figures["parity"]["mean_centred_cosine_min"], 3),
        Weights.from_dict(figures["weights"]).source,
        str(candidate.weeks),
        fits,
    )
