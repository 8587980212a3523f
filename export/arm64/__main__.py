"""Command line: `python -m export.arm64 BUNDLE`, and `setup`, `validate`, `baseline`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from export.arm64 import baseline, tables
from export.arm64.measurement import measure
from export.arm64.profiles import choose, shipped_profiles
from export.arm64.report import SHIPPED, Arm64Report
from export.arm64.toolchain import Toolchain, cache_dir, ensure_toolchain
from export.arm64.validation import validate
from runtime.terminal import quiet_engine

EXIT_GATE, EXIT_USE, EXIT_INTERRUPT = 1, 2, 130
OnProgress = Callable[[int, int, str], None]


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns 0, 1 where a limit failed or a model did not run, or 2 for bad input."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    name = arguments.pop(0) if arguments and arguments[0] in _COMMANDS else "report"
    parser, run = _COMMANDS[name]
    options = parser().parse_args(arguments)
    console = Console(stderr=options.json)
    try:
        return run(options, console)
    except ValueError as error:
        return _fail(str(error), EXIT_USE)
    except OSError as error:
        return _fail(f"{error.filename or 'disk'}: {error.strerror}", EXIT_USE)
    except KeyboardInterrupt:
        return _fail("interrupted; what was measured so far is kept", EXIT_INTERRUPT)


def _report_parser() -> argparse.ArgumentParser:
    profiles, default = shipped_profiles()
    parser = _parser(
        "", "Runs a bundle's models on an emulated ARM64 core: parity, instructions, simulated latency.",
        "Commands: 'setup' prepares the emulator (done when needed), 'validate' compares simulated with "
        "published times, 'baseline' keeps the committed instruction counts. Each has --help. Exit status: "
        "0 all well, 1 the target's latency or a phone's parity fails or a model does not run, 2 bad use.",
    )  # fmt: skip
    parser.add_argument("bundle", help="a folder that `python -m export` wrote, such as dist/balanced")
    names = f"{', '.join(profiles)} (default: all; the latency of {default} decides)"
    parser.add_argument("--profile", metavar="NAME", help=f"measure and judge only this phone: {names}")
    return parser


def _report(options: argparse.Namespace, console: Console) -> int:
    report = _measure(options.bundle, [options.profile] if options.profile else None, None, console)
    if options.json:
        print(json.dumps(report.to_dict()))
    else:
        tables.print_report(console, report)
    return 0 if report.passed else EXIT_GATE


def _setup_parser() -> argparse.ArgumentParser:
    return _parser(
        "setup", "Sets the ARM64 emulator up, without root, in build/arm64 or $POCKET_ARM64_CACHE."
    )


def _setup(options: argparse.Namespace, console: Console) -> int:
    toolchain = _ensure(console)
    if options.json:
        print(json.dumps({"folder": str(toolchain.folder), "versions": toolchain.versions}))
    else:
        versions = ", ".join(f"{name} {number}" for name, number in sorted(toolchain.versions.items()))
        console.print(f"the ARM64 emulator is ready: {versions}")
    return 0


def _validate_parser() -> argparse.ArgumentParser:
    return _parser(
        "validate", "Compares simulated with published milliseconds; exits 1 where one is off by over 10 %."
    )


def _validate(options: argparse.Namespace, console: Console) -> int:
    toolchain = _ensure(console)
    with _progress() as on_progress:
        validation = validate(toolchain, on_progress)
    if options.json:
        print(json.dumps(validation.to_dict()))
    else:
        tables.print_validation(console, validation)
    return 0 if validation.passed else EXIT_GATE


def _baseline_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "baseline", "Lowers the committed instruction counts of the shipped model, or checks against them."
    )
    parser.add_argument("bundle", help="a bundle's folder")
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 where a count is over by 2 %%"
    )
    group.add_argument("--raise", dest="allow_raise", action="store_true", help="write higher counts too")
    return parser


def _baseline(options: argparse.Namespace, console: Console) -> int:
    report = _measure(options.bundle, [shipped_profiles()[1]], [SHIPPED], console)
    if options.check:
        found = baseline.compare(report, baseline.load())
    else:
        found = baseline.update(report, allow_raise=options.allow_raise)
    if options.json:
        print(json.dumps([vars(entry) | {"passed": entry.passed} for entry in found]))
    else:
        tables.print_baseline(console, report.preset, found)
    return EXIT_GATE if options.check and not all(entry.passed for entry in found) else 0


def _measure(bundle: str, profiles: list[str] | None, models: list | None, console: Console) -> Arm64Report:
    choose(profiles)  # an unknown profile is said before anything is set up
    toolchain = _ensure(console)
    with _progress() as on_progress:
        return measure(bundle, profiles, models, toolchain=toolchain, progress=on_progress)


def _ensure(console: Console) -> Toolchain:
    with console.status("checking the ARM64 emulator") as status:
        return ensure_toolchain(
            lambda step: status.update(f"setting up the ARM64 emulator in {cache_dir()}: {step}")
        )


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """A bar on standard error, while what the engines write there is held back."""
    bar = BarColumn(bar_width=24)
    columns = (TextColumn("{task.description}"), bar, MofNCompleteColumn(), TimeElapsedColumn())
    with quiet_engine() as stderr:
        console = Console(file=stderr)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("emulating", total=None)

            def on_progress(done: int, total: int, what: str) -> None:
                progress.update(task, completed=done, total=total, description=what)

            yield on_progress


def _parser(command: str, description: str, epilog: str | None = None) -> argparse.ArgumentParser:
    prog = f"python -m export.arm64 {command}".strip()
    parser = argparse.ArgumentParser(prog=prog, description=description, epilog=epilog)
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    return parser


def _fail(message: str, code: int) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return code


_COMMANDS = {
    "report": (_report_parser, _report),
    "setup": (_setup_parser, _setup),
    "validate": (_validate_parser, _validate),
    "baseline": (_baseline_parser, _baseline),
}


if __name__ == "__main__":
    sys.exit(main())
