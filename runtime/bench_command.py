"""Command `bench`: measures latency and memory in fresh processes."""

import argparse
import os
import platform
from dataclasses import asdict

from . import bench
from .bundle import Bundle
from .chart import check_chart_path, write_chart
from .command_arguments import add_measuring_arguments, chosen_models
from .errors import InputError
from .report import MEMORY_PARTS, latency_table, memory_table, plain_json
from .terminal import measuring


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description += " Memory by part: " + MEMORY_PARTS
    add_measuring_arguments(parser)
    parser.add_argument("--runs", type=int, default=bench.RUNS, help=f"of each stage (default: {bench.RUNS})")
    parser.add_argument("--chart", metavar="FILE.png", help="also draw a bar chart")


def run(options: argparse.Namespace) -> int:
    """Prints latency and memory; returns 0.

    Raises:
        InputError: The bundle or the chart's place cannot be used, or an engine is not installed.
    """
    if options.runs < 1:
        raise InputError(f"--runs must be at least 1, not {options.runs}")
    if options.chart:
        check_chart_path(options.chart)
    bundle = Bundle.load(options.bundle)
    with measuring() as progress:
        latency, memory = bench.measure(
            bundle, *chosen_models(options), runs=options.runs, on_progress=progress
        )
    machine = f"{os.cpu_count()} {platform.machine()} CPUs"
    if options.chart:
        title = f"Preset {bundle.manifest.get('preset')}, on {machine}"
        write_chart(options.chart, latency, memory, title)
    if options.json:
        rows = {"latency": [asdict(row) for row in latency], "memory": [asdict(row) for row in memory]}
        print(plain_json({"machine": machine} | rows))
    else:
        print(f"{bundle.path}, on {machine}\n\n{latency_table(latency)}\n\n{memory_table(memory)}")
        if options.chart:
            print(f"\nchart: {options.chart}")
    return 0
