"""Command `rank`: sorts candidate texts by how well they fit a screenshot and text."""

import argparse
from pathlib import Path

from .command_arguments import add_encoding_arguments, read_user
from .errors import InputError
from .json_text import read_text
from .report import plain_json, ranking_table
from .session import ScreenEncoder
from .terminal import quiet_engine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_encoding_arguments(parser)
    parser.add_argument("--candidates", metavar="FILE", required=True, help="a text a line, UTF-8")
    parser.add_argument("--top", type=int, metavar="N", help="print the best N alone (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Prints candidate texts, those that fit best first; returns 0.

    Raises:
        InputError: The bundle, the image, the user vector or the candidates cannot be used.
    """
    if options.top is not None and options.top < 1:
        raise InputError(f"--top must be at least 1, not {options.top}")
    candidates, user = _read_candidates(options.candidates), read_user(options.user)
    with quiet_engine():
        encoder = ScreenEncoder.load(options.bundle, options.engine, options.precision, options.threads)
        ranked = encoder.rank(options.image, options.text, candidates, user)[: options.top]
    if options.json:
        result = {"ranked": [entry._asdict() for entry in ranked], "candidates": len(candidates)}
        print(plain_json(result | {"engine": options.engine, "precision": options.precision}))
    else:
        shown = "" if len(ranked) == len(candidates) else f", the best {len(ranked)}"
        print(f"{len(candidates)} candidates for {options.text!r} on {options.image}{shown}\n")
        print(ranking_table(ranked))
    return 0


def _read_candidates(name: str) -> list[str]:
    """Candidate texts from a file, a line each; empty lines are skipped."""
    text = read_text(Path(name), what="file of candidates")
    lines = [line.strip("\r") for line in text.split("\n")]  # not splitlines(): a text may hold U+2028
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise InputError(f"--candidates {name}: holds no candidates: write one a line")
    return lines
