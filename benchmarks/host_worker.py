"""Runs one row's files on this host, in a process of its own: memory, load time, outputs, times.

Started by `benchmarks.host` as `python -m benchmarks.host_worker REQUEST`, by the Python that has the engine.
Prints what opening costs, then answers a request a line, until its standard input ends:
`{"outputs": FILE}` runs every golden sample and saves the embeddings, `{"runs": N}` times N whole encodes.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from runtime.bench_worker import memory_bytes
from runtime.bundle import PARTS, SIGNATURES, TensorSpec
from runtime.engines import Engine, import_engine


class ExecuTorchEngine:
    """.pte programs, one a part, behind the `run` of `runtime.engines.Engine`."""

    def __init__(self, paths: dict[str, Path]) -> None:
        from executorch.runtime import Runtime

        runtime = Runtime.get()
        # The program must outlive its method.
        self._programs = {part: runtime.load_program(path) for part, path in paths.items()}
        self._methods = {part: program.load_method("forward") for part, program in self._programs.items()}

    def run(self, part: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a part."""
        import torch

        inputs = [torch.from_numpy(arrays[name]) for name in SIGNATURES[part].inputs]
        outputs = self._methods[part].execute(inputs)
        names = SIGNATURES[part].outputs
        return {name: value.numpy().copy() for name, value in zip(names, outputs, strict=True)}


def encode(engine, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Runs vision, text and fuse; returns the embedding [1, 256]."""
    known = dict(arrays)
    for part in PARTS:
        known |= engine.run(part, {name: known[name] for name in SIGNATURES[part].inputs})
    return known["embedding"]


def open_cold(request: dict, sample: dict[str, np.ndarray]):
    """Opens the files over a process that has the engine; returns it with what that costs."""
    kind = Path(request["paths"]["vision"]).suffix.removeprefix(".")
    paths = {part: Path(path) for part, path in request["paths"].items()}
    if kind == "pte":
        for name in (
            "torch",
            "executorch.runtime",
        ):  # what its Python interface needs is no cost of a program
            importlib.import_module(name)
    else:
        import_engine(kind)
        tensors = {
            name: TensorSpec(dtype, tuple(shape)) for name, (dtype, shape) in request["tensors"].items()
        }
    gc.collect()
    before = memory_bytes()
    begin = time.perf_counter()
    engine = ExecuTorchEngine(paths) if kind == "pte" else Engine(paths, 1, tensors)
    if kind != "pte":
        engine.open(*PARTS)
    load_ms = (time.perf_counter() - begin) * 1e3
    encode(engine, sample)
    encode(engine, sample)  # a second time: what only the first run needs is gone again
    gc.collect()
    after = memory_bytes()
    private = None if before is None or after is None else after["private"] - before["private"]
    return engine, {"load_ms": load_ms, "private_bytes": private}


def main(request: dict) -> None:
    """Opens, then answers until the input ends."""
    os.sched_setaffinity(0, {request["cpu"]})  # one core for every row: engines size their pools by it
    with np.load(request["golden"], allow_pickle=False) as archive:
        golden = {name: archive[name] for name in SIGNATURES["encode"].inputs}
    samples = [{k: v[row : row + 1] for k, v in golden.items()} for row in range(len(golden["image"]))]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what engines print is no answer

    def answer(value) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    engine, cold = open_cold(request, samples[0])
    answer(cold)
    turns = itertools.cycle(samples)
    for line in sys.stdin:
        asked = json.loads(line)
        if "outputs" in asked:
            np.save(asked["outputs"], np.concatenate([encode(engine, sample) for sample in samples]))
            answer("done")
        else:
            encode(engine, samples[0])  # the caches were other rows' meanwhile
            answer([timed(engine, next(turns)) for _ in range(asked["runs"])])


def timed(engine, sample: dict[str, np.ndarray]) -> float:
    """Returns the milliseconds of a whole encode."""
    begin = time.perf_counter()
    encode(engine, sample)
    return (time.perf_counter() - begin) * 1e3


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        main(json.loads(sys.argv[1]))
