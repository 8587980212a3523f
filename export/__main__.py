"""Command line: `python -m export [PRESET]`, and its commands `check`, `advise` and `plan`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.text import Text

from encoder.config import PRESETS
from encoder.provenance import PUBLISHED
from export.advice import command as advice
from export.budgets import Budget
from export.checklist import command as checklist
from export.pipeline import StepError, find_unchanged, run
from export.planning import command as planning
from export.report.console import print_result, step_progress
from export.report.tables import open_console
from export.request import ROOT, Request, read_request
from runtime.terminal import Parser, error_line

EXIT_GATE, EXIT_USE, EXIT_INTERRUPT = 1, 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns 0, 1 where a gated limit failed, or 2 for bad use or bad input."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command = arguments.pop(0) if arguments and arguments[0] in COMMANDS else "export"
    make_parser, run_command = COMMANDS[command]
    parser = make_parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.refuse(unknown)
    try:
        return run_command(options)
    except ValueError as error:
        return _fail(str(error), EXIT_USE)
    except StepError as error:
        return _fail(f"{error}; what the tools printed: {error.log}", EXIT_GATE)
    except OSError as error:
        return _fail(f"{error.filename or 'disk'}: {error.strerror}", EXIT_USE)
    except KeyboardInterrupt:
        return _fail("interrupted; the bundle in place, if any, is as it was", EXIT_INTERRUPT)


def _make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m export",
        description="Turns an encoder into a verified bundle: ONNX and TFLite, float and INT8.",
        epilog="'python -m export check [PRESET]' gates a bundle; 'python -m export advise' picks a preset; "
        "'python -m export plan [PRESET]' searches a precision plan.",
        allow_abbrev=False,
    )
    _add_inputs(parser)
    presets = ", ".join(PRESETS)
    parser.add_argument("preset", nargs="?", default="balanced", help=f"one of: {presets} (default balanced)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="bundle folder (default dist/PRESET)")
    parser.add_argument("--no-arm64", action="store_true",
        help="set no ARM64 emulator up, and run nothing on emulated phones")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    return parser


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="JSON of config keys, in place of a preset's")
    add(
        "--weights", metavar="FILE|published",
        help="safetensors file of the encoder; or published weights of backbone and text model, all else "
        "random (default: the trained checkpoint, without one published weights, else random)",
    )  # fmt: skip
    add("--calibration-data", type=Path, metavar="DIR", help="folder with samples.jsonl and its screens")
    add("--plan", type=Path, metavar="FILE", help="precision plan, JSON")
    add("--seed", type=int, default=0, help="of random weights (default 0)")
    add("--force", action="store_true", help="run every step, even where nothing changed")


def _export(options: argparse.Namespace) -> int:
    published = options.weights == PUBLISHED
    request = read_request(
        options.preset, config_file=options.config, folder=options.calibration_data, plan_file=options.plan,
        weights=Path(options.weights) if options.weights and not published else None, published=published,
        out=options.out, seed=options.seed,
    )  # fmt: skip
    console, emulate = open_console(stderr=options.json), not options.no_arm64

    def tell(reason: str) -> None:
        line = f"{_shown(request.out)} cannot be kept and is exported anew: {reason}"
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)

    for note in request.sources.notes:
        console.print(Text(f"no published weights from the hub: {note}", "yellow"), soft_wrap=True)
    manifest = None if options.force else find_unchanged(request, tell, emulate=emulate)
    if manifest is None:
        with step_progress(console) as on_step:
            manifest = run(request, on_step, force=options.force, emulate=emulate)
    else:
        console.print(f"{_shown(request.out)}: unchanged, nothing to do (--force runs every step)")
    if options.json:
        print(json.dumps(manifest))
    else:
        print_result(console, manifest, _shown(request.out), _following(request))
    budgets = [Budget.from_dict(values) for values in manifest["budgets"]]
    lost = any(budget.passed is False for budget in budgets if budget.name.startswith("parity"))
    return EXIT_GATE if lost else 0


COMMANDS = {
    "export": (_make_parser, _export),
    "check": (checklist.make_parser, checklist.run),
    "advise": (advice.make_parser, advice.run),
    "plan": (planning.make_parser, planning.run),
}


def _following(request: Request) -> str:
    """Returns the command that comes after an export."""
    if request.out != ROOT / "dist" / request.preset:
        return f"python -m export check --out {_shown(request.out)}"
    preset = "" if request.preset == "balanced" else f" PRESET={request.preset}"
    return f"make check quality bench android{preset}"


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _fail(message: str, code: int) -> int:
    sys.stderr.write(error_line(message))
    return code


if __name__ == "__main__":
    sys.exit(main())
