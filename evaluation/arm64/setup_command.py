"""`python -m evaluation setup-arm64`: the emulator, set up ahead of time."""

from __future__ import annotations

import argparse
import json

from rich.console import Console

from evaluation.arm64.toolchain import Toolchain, cache_dir, ensure_toolchain
from evaluation.terminal.tables import open_console

INTERRUPTED = "interrupted; what was fetched so far is kept"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print folder and versions as JSON")


def run(options: argparse.Namespace) -> int:
    """Sets the emulator up; returns 0."""
    console = open_console(stderr=options.json)
    toolchain = ensure(console)
    if options.json:
        print(json.dumps({"folder": str(toolchain.folder), "versions": toolchain.versions}))
    else:
        versions = ", ".join(f"{name} {number}" for name, number in sorted(toolchain.versions.items()))
        console.print(f"the ARM64 emulator is ready: {versions}")
    return 0


def ensure(console: Console) -> Toolchain:
    """Sets the emulator up where it is not; the console says which step runs."""
    with console.status("checking the ARM64 emulator") as status:
        return ensure_toolchain(
            lambda step: status.update(f"setting up the ARM64 emulator in {cache_dir()}: {step}")
        )
