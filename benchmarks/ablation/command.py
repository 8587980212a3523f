"""`python -m benchmarks ablation`: every preset, and balanced with each slot exchanged."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from benchmarks.ablation import cluster, docs, local, results
from benchmarks.ablation.cluster import LOCAL
from benchmarks.ablation.jobs import Job, OnStep
from benchmarks.ablation.local import OnDone
from benchmarks.ablation.measure import Run, complete, measure
from benchmarks.ablation.results import Result
from benchmarks.ablation.rows import PRESET, Row, RowError, all_rows, choose, read_sweep
from benchmarks.ablation.tables import notes, tables, verdict_line
from evaluation.quality.tables import Table
from evaluation.terminal.progress import engine_progress
from runtime.command_line import EXIT_FAILED

INTERRUPTED = "interrupted; rows that were done need not run again"
WIDTH = 180  # of the tables, where no terminal says


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add(
        "--only", nargs="+", metavar="NAME", default=[], help="run only these rows (--list shows their names)"
    )
    add("--list", action="store_true", help="list the rows and run nothing")
    add("--sweep", type=Path, metavar="FILE",
        help="JSON of rows of your own: name -> the config keys that differ from balanced")  # fmt: skip
    add("--jobs", type=int, metavar="N", help=f"rows side by side (default {local.default_jobs()}, by cores)")
    add("--ray", nargs="?", const=LOCAL, metavar="ADDRESS",
        help="run rows as Ray tasks, on HOST:PORT of a cluster or on this machine")  # fmt: skip
    add("--write-docs", action="store_true", help="write docs/ablation.md and the committed results")
    add("--json", action="store_true", help="print the rows as JSON")


def _refuse_contradictions(options: argparse.Namespace) -> None:
    """Refuses flags of which one would be ignored.

    Raises:
        RowError: there are such flags; the message names them.
    """
    flags = {"--list": options.list, "--write-docs": options.write_docs, "--sweep": options.sweep,
             "--ray": options.ray, "--jobs": options.jobs}  # fmt: skip
    for one, other, why in (
        ("--list", "--write-docs", "listing measures nothing"),
        ("--sweep", "--write-docs", "the document holds the presets and their single variants"),
    ):
        if flags[one] and flags[other]:
            raise RowError(f"{one} and {other} contradict each other: {why}")
    if options.jobs is not None and options.jobs < 1:
        raise RowError(f"--jobs {options.jobs}: must be at least 1")
    if options.jobs is not None and options.ray not in (None, LOCAL):
        raise RowError("--jobs and --ray ADDRESS contradict each other: the cluster's processors decide")


def run(options: argparse.Namespace) -> int:
    """Measures the rows; returns 0, or 1 where a row failed."""
    _refuse_contradictions(options)
    rows = read_sweep(options.sweep) if options.sweep else all_rows()
    chosen = choose(rows, options.only)
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    if options.list:
        _list(chosen, console, as_json=options.json)
        return 0
    if options.write_docs:
        docs.check()
    with engine_progress("reading inputs") as on_progress:
        found = measure(chosen, _runner(options), on_progress)
    if options.write_docs:
        docs.write_docs(complete(rows, found, results.load()))
    if options.json:
        print(json.dumps(results.to_dict(found)))
    else:
        _print(found, console)
    return EXIT_FAILED if any(result.figures is None for result in found) else 0


def _runner(options: argparse.Namespace) -> Run:
    count = options.jobs or local.default_jobs()
    if options.ray is None:
        return lambda jobs, on_done, on_step: local.run_here(jobs, count, on_done, on_step)

    def run(jobs: Sequence[Job], on_done: OnDone, on_step: OnStep) -> None:
        with redirect_stdout(sys.stderr):  # Ray tells of dead workers on standard output
            cluster.run_on_ray(jobs, options.ray, count, on_done)

    return run


def _list(rows: Sequence[Row], console: Console, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([{"name": row.name, "kind": row.kind, "also": row.also} for row in rows]))
        return
    for row in rows:
        also = f"  (also {', '.join(row.also)})" if row.also else ""
        console.print(f"{row.kind:9} {row.name}{also}", highlight=False, markup=False)


def _print(found: Sequence[Result], console: Console) -> None:
    presets = {result.name for result in found if result.kind == PRESET}
    for table in tables(found):
        console.print(_rich(table, presets))
    for note in notes(found):
        console.print(note, style="yellow", markup=False, highlight=False, soft_wrap=True)
    console.print(verdict_line(found), style="bold", markup=False, highlight=False, soft_wrap=True)


def _rich(table: Table, presets: set[str]) -> RichTable:
    shown = RichTable(title=table.title, title_justify="left")
    for index, name in enumerate(table.header):
        shown.add_column(name, justify="right" if index else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*map(Text, row), style="bold" if row[0] in presets else None)
    return shown
