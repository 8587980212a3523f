"""`python -m export search [PRESET]`: finds a quantization recipe."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from encoder.config import PRESETS
from evaluation.budgets import PARITY_COSINE
from evaluation.quality.tables import ENGINE_NAMES
from evaluation.terminal.progress import engine_progress
from evaluation.terminal.tables import open_console
from export.quantize.recipe import RECIPES, RecipeError
from export.quantize.search.report import draw, print_given_back, print_search
from export.report.console import step_progress
from export.request import ROOT, read_request
from runtime.bundle import Bundle
from runtime.command_line import EXIT_FAILED

BYTES_LIMIT = 4_900_000
"""Of the file. The other limit, on the judged calibration screens, is that of parity."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add(
        "preset",
        nargs="?",
        default="balanced",
        help=f"one of: {', '.join(PRESETS)} (default balanced); with --explain a bundle's folder, too",
    )
    add("--profile", help="phone of evaluation/arm64/profiles.toml (default: the target)")
    add("--recipe", type=Path, metavar="FILE", help="recipe to start from (default: the preset's)")
    add("--out", type=Path, metavar="DIR", help="where results go (default build/recipe/PRESET)")
    add(
        "--cosine",
        type=float,
        default=PARITY_COSINE,
        metavar="X",
        help="least mean-centred cosine (default %(default)s)",
    )
    add(
        "--bytes",
        type=int,
        default=BYTES_LIMIT,
        metavar="N",
        help="most bytes of the file (default %(default)s)",
    )
    add("--write", action="store_true", help="make the result the preset's committed recipe")
    add(
        "--explain",
        action="store_true",
        help="only show the search that chose the committed recipe, or, of a bundle, what its export found",
    )
    add("--json", action="store_true", help="print the search as JSON")


def run(options: argparse.Namespace) -> int:
    """Searches or explains; returns 0, or 1 where no recipe keeps the limits.

    Raises:
        RecipeError: there is no search to explain, or the recipe cannot be carried out.
    """
    console = open_console()
    if options.explain and options.preset not in PRESETS:
        return _explain_bundle(options)
    found = _committed(options.preset) if options.explain else _search(options)
    if options.json:
        print(json.dumps(found))
    else:
        print_search(console, found)
    return 0 if found["chosen"] else EXIT_FAILED


def _search(options: argparse.Namespace) -> dict:
    from evaluation.arm64.profiles import choose
    from export.quantize.search.groups import integer_groups
    from export.quantize.search.prepare import open_trials
    from export.quantize.search.search import search
    from export.quantize.tflite import operators

    request = read_request(options.preset, recipe_file=options.recipe)
    profile = choose([options.profile] if options.profile else None)[0]
    with step_progress(open_console(stderr=True)) as on_step:
        trials = open_trials(request, profile, on_step)
    groups = integer_groups(request.recipe.tflite, operators(trials.source))
    limits = {"cosine_min": options.cosine, "file_bytes": options.bytes}
    with engine_progress("calibrating") as on_trial:
        trials.calibrate(request.recipe.tflite)
        found = search(request.recipe.tflite, groups, trials, limits, on_trial)
    values = found.to_dict()
    out = options.out or ROOT / "build" / "recipe" / options.preset
    out.mkdir(parents=True, exist_ok=True)
    folders = [(out / "plan.json", out / "search.json")]
    if options.write:
        folders.append(_committed_files(options.preset))
    for recipe, search_file in folders if found.recipe else []:
        recipe.write_text(json.dumps(replace(request.recipe, tflite=found.recipe).to_dict(), indent=1) + "\n")
        search_file.write_text(json.dumps(values, indent=1) + "\n")
    draw(values, out / "pareto.png")
    return values


def _explain_bundle(options: argparse.Namespace) -> int:
    given_back = Bundle.load(options.preset).manifest.get("given_back", {})
    found = {name: value for name, value in given_back.items() if value}
    if not found:
        raise RecipeError(
            f"{options.preset}: its recipe was given, not found; explain that of a preset: "
            "python -m export search PRESET --explain"
        )
    if options.json:
        print(json.dumps(found))
    for name, value in {} if options.json else found.items():
        print_given_back(open_console(), ENGINE_NAMES[name], value)
    return 0


def _committed_files(preset: str) -> tuple[Path, Path]:
    return RECIPES / f"{preset}.json", RECIPES / f"{preset}.search.json"


def _committed(preset: str) -> dict:
    path = _committed_files(preset)[1]
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise RecipeError(
            f"{path}: no search is committed; run python -m export search {preset} --write"
        ) from None
