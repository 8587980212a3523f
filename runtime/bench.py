"""Latency and memory of a bundle's models, each measured in a fresh process.

Memory is what loading the models and running vision, text and fuse adds to a process that has already
imported the engine, as an app has it by default. By part:

- files: size of the model files. They are mapped: the system reads what is used, and can drop it again.
- packed weights: size of the engine's second copy of the weights, in the order that its kernels read, where
  it is a file (`weight_cache`) and mapped as well. Otherwise it is part of the private memory.
- mapped: pages of all these files, and of the engine's library, that were resident in the end.
- private: memory of the process alone (RssAnon), which nothing but its end gives back. This is what the
  budget limits. It has two parts: what opening takes, the graph and its operators, and what running adds,
  arenas for activations, the engine's workspace and its tables of addresses.
- first start: private memory of the one start that makes the file of packed weights.
- peak: the most resident memory on the way, mapped files included.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from .bundle import ENGINES, PRECISIONS, Bundle, select_files
from .engines import EngineError, import_engine
from .preprocess import resize_screenshot
from .tensors import PARTS

RUNS = 200
THREADS = (1, 2)
SCREEN_SIZE = (2340, 1080)  # height, width in pixels
TYPED = "see you at the station at half past seven, bring the tickets please"
HOW = "RssAnon in /proc/self/status, median of {} fresh processes after a first start"
UNFIT = "the model computes something else with a file of them"
NOT_KEPT = "no file of them could be kept, or this version of LiteRT has none"
NOT_MEASURED = "not measured: this system has no RssAnon in /proc/self/status"

OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class MemoryResult:
    """Cold load and memory of one engine and precision.

    Attributes:
        engine: "tflite" or "onnx".
        precision: "int8" or "fp32".
        file_bytes: Size of the files that were loaded.
        packed_bytes: Size of the packed weights as a mapped file; 0 where they are in private memory.
        mapped_bytes: Resident pages of files that loading and running adds; None where it cannot be measured.
        opened_bytes: Private memory that loading adds; None as above.
        private_bytes: Private memory that loading and running adds; None as above.
        first_start_bytes: The same of the start that makes the file of packed weights; None as above.
        peak_bytes: Peak resident memory over the same base; None as above.
        import_ms: Importing the engine.
        load_ms: Opening the models.
        first_encode_ms: The first vision, text and fuse.
        processes: Number of fresh processes; every figure but that of the first start is their median.
        how: How the memory was measured, or why not.
    """

    engine: str
    precision: str
    file_bytes: int
    packed_bytes: int
    mapped_bytes: int | None
    opened_bytes: int | None
    private_bytes: int | None
    first_start_bytes: int | None
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
    """Measures cold load and memory, one thread: one start that makes the packed weights, then `processes`.

    Raises:
        BundleError: No such files in the bundle, or an altered one.
        EngineError: The engine is not installed or cannot run the files.
    """
    files = {bundle.file(name) for name in _part_files(bundle, engine, precision).values()}
    with tempfile.TemporaryDirectory(prefix="pocket-weights-") as cache:
        first, *runs = (
            _worker(bundle, "cold", engine, precision, threads=1, weight_cache=cache)
            for _ in range(processes + 1)
        )
        packed = [path.stat().st_size for path in Path(cache).iterdir()]
    how = NOT_MEASURED if first["private_bytes"] is None else HOW.format(processes)
    if engine == "tflite" and not sum(packed):
        how += f"; packed weights were in private memory: {UNFIT if packed else NOT_KEPT}"
    middle = {key: None if first[key] is None else median(run[key] for run in runs) for key in first}
    return MemoryResult(
        engine,
        precision,
        file_bytes=sum(path.stat().st_size for path in files),
        packed_bytes=sum(packed),
        first_start_bytes=first["private_bytes"],
        **middle,
        processes=processes,
        how=how,
    )


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
    from .bench_worker import timed

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


def _worker(bundle: Bundle, measure: str, engine: str, precision: str, **options: int | str) -> dict:
    """Runs `bench_worker` in a fresh process and reads its JSON."""
    parts = _part_files(bundle, engine, precision)
    request = {
        "measure": measure,
        "engine": engine,
        "paths": {part: str(bundle.file(name).resolve()) for part, name in parts.items()},
        "tensors": bundle.tensors,
        "parent": os.getpid(),
        **options,
    }
    root = str(Path(__file__).parents[1])
    search = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    run = subprocess.run(
        [sys.executable, "-m", f"{__package__}.bench_worker", json.dumps(request)],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": search},
    )  # fmt: skip
    if run.returncode:
        last = (run.stderr.strip().splitlines() or ["no message"])[-1]
        raise EngineError(f"{engine} {precision}: measuring ended with status {run.returncode}: {last}")
    return json.loads(run.stdout.splitlines()[-1])
