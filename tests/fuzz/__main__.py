"""Command line: `python -m tests.fuzz [CAMPAIGN ...]`, or `make fuzz`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from runtime.command_line import Parser
from tests.fuzz import files, images, inputs, lasting
from tests.fuzz.files import ROOT
from tests.fuzz.trials import Trial, run_trials

TRIALS: dict[str, tuple[Trial, int]] = {
    "images": (images.image_file, 5000),
    "pil-images": (images.pil_image, 2000),
    "users": (inputs.user, 5000),
    "texts": (inputs.text, 10_000),
    "configs": (files.config, 2000),
    "recipes": (files.recipe, 5000),
    "samples": (files.samples, 2000),
    "manifest-bits": (files.manifest_bit, 2000),
    "manifests": (files.manifest, 2000),
    "files": (files.listed_file, 500),
}
LASTING = {
    "weight-cache": (lasting.weight_cache, 100),
    "endurance": (lasting.endurance, 20_000),
    "kills": (lasting.kills, 32),
    "disk": (lasting.disk, 8),
    "network": (lasting.network, 1),
}
CAMPAIGNS = TRIALS | LASTING
"""By name, what runs a campaign and how many trials it has by default."""
CHUNK = 250
"""Trials that one process runs: a crash ends a process, and the next one goes on behind it."""
LONGEST_S = 600


@dataclass
class Tally:
    """What came of a campaign."""

    campaign: str
    seed: int
    trials: int = 0
    clean: int = 0
    refused: int = 0
    faults: dict[int, str] = field(default_factory=dict)

    def add(self, number: int, verdict: str, detail: str = "") -> None:
        """Counts a trial."""
        self.trials += 1
        if verdict == "fault":
            self.faults[number] = detail
        else:
            setattr(self, verdict, getattr(self, verdict) + 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs campaigns; returns 0, 1 where a trial found a fault, or 2 for bad use."""
    parser = Parser(
        prog="python -m tests.fuzz",
        description="Runs seeded fuzz campaigns: damaged inputs, kept weights, killed exports, full disks.",
        epilog="A fault names its trial; --first N --count 1 with the same seed runs it alone.",
    )
    defaults = ", ".join(f"{name} {count:,}" for name, (_, count) in CAMPAIGNS.items())
    add = parser.add_argument
    add("campaigns", nargs="*", metavar="CAMPAIGN", help=f"some of (trials): {defaults}; default: all")
    add("--seed", type=int, default=0, help="default: 0")
    add("--count", type=int, help="trials of each campaign, in place of its own number")
    add("--first", type=int, default=0, help="number of the first trial of a campaign of inputs (default: 0)")
    add("--bundle", type=Path, default=ROOT / "dist" / "balanced", help="default: dist/balanced")
    add("--json", action="store_true", help="print the tallies as JSON")
    add("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.campaigns if name not in CAMPAIGNS]:
        parser.error(f"unknown campaign {', '.join(unknown)}; there are {', '.join(CAMPAIGNS)}")
    if options.worker:
        return _work(options)
    names = options.campaigns or list(CAMPAIGNS)
    if not (options.bundle / "manifest.json").is_file() and set(names) & LASTING.keys():
        parser.error(f"{options.bundle} is no bundle: make export")
    console = Console(stderr=True)
    tallies = [_run(name, options, console) for name in names]
    if options.json:
        print(json.dumps([asdict(tally) for tally in tallies]))
    else:
        _print(tallies)
    return 1 if any(tally.faults for tally in tallies) else 0


def _work(options: argparse.Namespace) -> int:
    [name] = options.campaigns
    with os.fdopen(os.dup(1), "w") as results:
        run_trials(TRIALS[name][0], name, options.seed, options.first, options.count, results)
    return 0


def _run(name: str, options: argparse.Namespace, console: Console) -> Tally:
    run, usual = CAMPAIGNS[name]
    count = options.count or usual
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    tally = Tally(name, options.seed)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=count)

        def on_trial(number: int, fault: str) -> None:
            tally.add(number, "fault" if fault else "clean", fault)
            progress.advance(task)

        if name in LASTING:
            run(options.bundle, options.seed, count, on_trial)
            return tally
        number, end = options.first, options.first + count
        while number < end:
            number = _chunk(name, options.seed, number, min(CHUNK, end - number), tally)
            progress.update(task, completed=number - options.first)
    return tally


def _chunk(name: str, seed: int, first: int, count: int, tally: Tally) -> int:
    """Runs trials in a process of their own; returns the number of the next trial."""
    command = [sys.executable, "-m", "tests.fuzz", name, "--worker", "--seed", str(seed)]
    command += ["--first", str(first), "--count", str(count)]
    with tempfile.TemporaryFile("w+") as results:
        try:
            ended = subprocess.run(
                command, cwd=ROOT, stdout=results, timeout=LONGEST_S, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            ended = f"no end in {LONGEST_S} s"
        results.seek(0)
        begun = first
        for line in map(json.loads, results):
            begun = line.get("began", begun)
            if "verdict" in line:
                tally.add(line["number"], line["verdict"], line["detail"])
                begun += 1
    if begun < first + count:
        tally.add(begun, "fault", f"the process died: {ended}")
        return begun + 1
    return first + count


def _print(tallies: Sequence[Tally]) -> None:
    table = Table(box=None)
    for title in ("campaign", "seed", "trials", "clean", "refused", "faults"):
        table.add_column(title, justify="left" if title == "campaign" else "right")
    for tally in tallies:
        counts = (tally.seed, tally.trials, tally.clean, tally.refused, len(tally.faults))
        table.add_row(tally.campaign, *(f"{count:,}" for count in counts))
    Console().print(table)
    for tally in tallies:
        for number, detail in list(tally.faults.items())[:20]:
            print(f"{tally.campaign} {number}: {detail}")


if __name__ == "__main__":
    sys.exit(main())
