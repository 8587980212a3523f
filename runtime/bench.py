"""Latency and memory of a bundle's models, each measured in a fresh process.

Memory is what loading the models and running vision, text and fuse adds to a process that has already
imported the engine: private is its dirty private memory (the file itself is mapped and can be dropped by the
system at any time), peak the highest resident memory on the way, mapped file included.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from runtime.bundle import ENGINES, PARTS, PRECISIONS, Bundle, select_files
from runtime.engines import EngineError, import_engine
from runtime.preprocess import resize_screenshot

RUNS = 200
THREADS = (1, 2)
SCREEN_SIZE = (2340, 1080)  # height, width in pixels
TYPED = "see you at the station at half past seven, bring the tickets please"
HOW = "RssAnon in /proc/self/status, median of {} fresh processes"
NOT_MEASURED = "not measured: this system has no RssAnon in /proc/self/status"

OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class MemoryResult:
    """Cold load and memory of one engine and precision.

    Attributes:
        engine: "tflite" or "onnx".
        precision: "int8" or "fp32".
        file_bytes: Size of the files that were loaded.
        private_bytes: Private memory that loading and running adds; None where it cannot be measured.
        peak_bytes: Peak resident memory over the same base; None where it cannot be measured.
        import_ms: Importing the engine.
        load_ms: Opening the models.
        first_encode_ms: The first vision, text and fuse.
        processes: Number of fresh processes; every figure is their median.
        how: How the memory was measured, or why not.
    """

    engine: str
    precision: str
    file_bytes: int
    private_bytes: int | None
    peak_bytes: int | None
    import_ms: float
    load_ms: float
    first_encode_ms: float
    processes: int
    how: str


@dataclass(frozen=True)
class LatencyRow:
    """Milliseconds of one stage: vision, text, fuse, keystroke (text and fuse) or encode (all three)."""

    engine: str
    precision: str
    threads: int
    stage: str
    p50_ms: float
    p90_ms: float
    p99_ms: float
    runs: int


def measure_memory(
    bundle: Bundle, engine: str = "tflite", precision: str = "int8", *, processes: int = 3
) -> MemoryResult:
    """Measures cold load and memory, one thread.

    Raises:
        BundleError: No such files in the bundle, or an altered one.
        EngineError: The engine is not installed or cannot run the files.
    """
    files = {bundle.file(name) for name in _part_files(bundle, engine, precision).values()}
    runs = [_worker(bundle, "cold", engine, precision, threads=1) for _ in range(processes)]
    middle = {
        key: None if runs[0][key] is None else median(run[key] for run in runs)
        for key in ("private_bytes", "peak_bytes", "import_ms", "load_ms", "first_encode_ms")
    }
    how = NOT_MEASURED if middle["private_bytes"] is None else HOW.format(processes)
    file_bytes = sum(path.stat().st_size for path in files)
    return MemoryResult(engine, precision, file_bytes, **middle, processes=processes, how=how)


def measure_latency(
    bundle: Bundle, engine: str = "tflite", precision: str = "int8", *, threads: int = 1, runs: int = RUNS
) -> list[LatencyRow]:
    """Measures every stage, warmed up.

    Raises:
        BundleError: No such files in the bundle, or an altered one.
        EngineError: The engine is not installed or cannot run the files.
    """
    times = _worker(bundle, "latency", engine, precision, threads=threads, runs=runs)
    return [_row(engine, precision, threads, stage, values) for stage, values in times.items()]


def measure_preparation(bundle: Bundle, *, runs: int = 30) -> list[LatencyRow]:
    """Measures what precedes the models: resizing a phone's screenshot and cutting a text into ids.

    Raises:
        BundleError: A file of the tokenizer is missing or altered.
        TokenizerError: It cannot be used.
    """
    from runtime.bench_worker import timed

    screen = np.random.default_rng(0).integers(0, 256, (*SCREEN_SIZE, 3), dtype=np.uint8)
    tokenizer = bundle.open_tokenizer()
    stages = {
        "resize": lambda: resize_screenshot(screen, bundle.image_size),
        "tokenize": lambda: tokenizer.encode(TYPED),
    }
    return [_row("numpy", "-", 1, stage, timed(call, runs)) for stage, call in stages.items()]


def measure(
    bundle: Bundle,
    engines: Iterable[str] | None = None,
    precisions: Iterable[str] | None = None,
    *,
    runs: int = RUNS,
    on_progress: OnProgress = lambda done, total, what: None,
) -> tuple[list[LatencyRow], list[MemoryResult]]:
    """Measures everything: each engine and precision with one and two threads, and the preparation.

    Raises:
        BundleError: No such files in the bundle, or an altered one.
        EngineError: An engine is not installed or cannot run the files.
    """
    chosen = [(e, p) for e in engines or ENGINES for p in precisions or PRECISIONS]
    for engine, precision in chosen:  # everything is there before the first measurement
        import_engine(engine)
        for name in _part_files(bundle, engine, precision).values():
            bundle.file(name)
    total, done = len(chosen) * (len(THREADS) + 1) + 1, 0

    def step(what: str) -> None:
        nonlocal done
        on_progress(done, total, what)
        done += 1

    step("resize and tokenize")
    latency, memory = measure_preparation(bundle), []
    for engine, precision in chosen:
        for threads in THREADS:
            step(f"{engine} {precision}, {threads} thread{'s' * (threads > 1)}")
            latency += measure_latency(bundle, engine, precision, threads=threads, runs=runs)
        step(f"{engine} {precision}, memory")
        memory.append(measure_memory(bundle, engine, precision))
    return latency, memory


def _row(engine: str, precision: str, threads: int, stage: str, times: list[float]) -> LatencyRow:
    p50, p90, p99 = (float(value) for value in np.percentile(times, (50, 90, 99)))
    return LatencyRow(engine, precision, threads, stage, p50, p90, p99, len(times))


def _part_files(bundle: Bundle, engine: str, precision: str) -> dict[str, str]:
    chosen = select_files(bundle.files, engine, precision)
    return {part: chosen[part] for part in PARTS}


def _worker(bundle: Bundle, measure: str, engine: str, precision: str, **options: int) -> dict:
    """Runs runtime.bench_worker in a fresh process and reads its JSON."""
    parts = _part_files(bundle, engine, precision)
    request = {
        "measure": measure,
        "engine": engine,
        "paths": {part: str(bundle.file(name).resolve()) for part, name in parts.items()},
        "tensors": bundle.tensors,
        **options,
    }
    root = str(Path(__file__).parents[1])
    search = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    run = subprocess.run(
        [sys.executable, "-m", "runtime.bench_worker", json.dumps(request)],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": search},
    )  # fmt: skip
    if run.returncode:
        last = (run.stderr.strip().splitlines() or ["no message"])[-1]
        raise EngineError(f"{engine} {precision}: measuring ended with status {run.returncode}: {last}")
    return json.loads(run.stdout.splitlines()[-1])
