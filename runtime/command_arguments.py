"""Arguments that several commands of the runtime share."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from .bundle import ENGINES, PRECISIONS
from .errors import InputError
from .json_text import read_json


def add_encoding_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what is encoded, and with which model."""
    parser.add_argument("bundle", metavar="DIST", help="the exported folder, such as dist/balanced")
    parser.add_argument("image", metavar="IMAGE", help="a screenshot of any size")
    parser.add_argument("--text", default="", help="what was typed so far (default: nothing)")
    parser.add_argument("--user", metavar="FILE.json|N,N,...", help="the user vector (default: unknown user)")
    parser.add_argument("--engine", choices=ENGINES, default="tflite", help="default: tflite")
    parser.add_argument("--precision", choices=PRECISIONS, default="int8", help="default: int8")
    parser.add_argument("--threads", type=int, default=1, help="default: 1")


def add_measuring_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds which models are measured."""
    parser.add_argument("bundle", metavar="DIST", help="the exported folder, such as dist/balanced")
    parser.add_argument("--engine", choices=ENGINES, help="default: all")
    parser.add_argument("--precision", choices=PRECISIONS, help="default: all")
    parser.add_argument("--json", action="store_true", help="print JSON")


def chosen_models(options: argparse.Namespace) -> tuple[Sequence[str] | None, Sequence[str] | None]:
    """The engines and precisions that are measured; None = all."""
    return [options.engine] if options.engine else None, [options.precision] if options.precision else None


def read_user(text: str | None) -> list | None:
    """A user vector from a JSON file, or from numbers separated by commas; not checked yet.

    Raises:
        InputError: It is neither.
    """
    if text is None:
        return None
    if text.endswith(".json"):
        return read_json(Path(text), what="file of a user vector")
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise InputError("--user: neither a .json file nor numbers separated by commas") from None
