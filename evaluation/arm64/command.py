"""`python -m evaluation arm64 BUNDLE`: a bundle on emulated phone CPUs."""

from __future__ import annotations

import argparse
import json

from evaluation.arm64 import tables
from evaluation.arm64.measurement import measure
from evaluation.arm64.profiles import choose, shipped_profiles
from evaluation.arm64.report import Arm64Report
from evaluation.arm64.setup_command import ensure
from evaluation.terminal.progress import engine_progress
from evaluation.terminal.tables import open_console
from runtime.command_line import EXIT_FAILED

INTERRUPTED = "interrupted; what was measured so far is kept"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    profiles, default = shipped_profiles()
    parser.add_argument("bundle", help="a folder that `python -m export` wrote, such as dist/balanced")
    names = f"{', '.join(profiles)} (default: all; the latency of {default} decides)"
    parser.add_argument("--profile", metavar="NAME", help=f"measure and judge only this phone: {names}")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(options: argparse.Namespace) -> int:
    """Measures; returns 0, or 1 where a limit failed or a model did not run."""
    report = measure_with_progress(
        options.bundle, [options.profile] if options.profile else None, json_out=options.json
    )
    if options.json:
        print(json.dumps(report.to_dict()))
    else:
        tables.print_report(open_console(), report)
    return 0 if report.passed else EXIT_FAILED


def measure_with_progress(
    bundle: str,
    profiles: list[str] | None,
    models: list[tuple[str, str]] | None = None,
    *,
    json_out: bool = False,
) -> Arm64Report:
    """Sets the emulator up where it is not, and measures under a progress bar."""
    choose(profiles)  # an unknown profile is said before anything is set up
    toolchain = ensure(open_console(stderr=json_out))
    with engine_progress("emulating") as on_progress:
        return measure(bundle, profiles, models, toolchain=toolchain, progress=on_progress)
