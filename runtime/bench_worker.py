"""Measures models in a process of its own, which `bench` starts. JSON in (argument), JSON out."""

import contextlib
import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .engines import Engine, import_engine
from .processes import end_with_parent
from .tensors import PARTS, SIGNATURES, TensorSpec

_WARM_UP_S = 0.3
_KEYSTROKE = ("text", "fuse")


def example_inputs(tensors: dict[str, TensorSpec]) -> dict[str, np.ndarray]:
    """Seeded arrays for every public tensor; ids and mask are ones, a full text."""
    random = np.random.default_rng(0)
    arrays = {}
    for name, (dtype, shape) in tensors.items():
        if dtype == "uint8":
            arrays[name] = random.integers(0, 256, shape, dtype=np.uint8)
        elif dtype == "int32":
            arrays[name] = np.ones(shape, np.int32)
        else:
            arrays[name] = random.normal(size=shape).astype(np.float32)
    return arrays


def memory_bytes() -> dict[str, int] | None:
    """This process's private, mapped, resident and peak resident memory; None where it cannot be read.

    Private is what is anonymous. (Private_Dirty would count the pages of a mapped model file too, as long as
    the system has not yet written a fresh export back to the disk.) Mapped are the resident pages of files,
    the engine's own library among them.
    """
    try:
        status = Path("/proc/self/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        names = {"private": "RssAnon", "mapped": "RssFile", "resident": "VmRSS", "peak": "VmHWM"}
        return {key: int(fields[field].split()[0]) * 1024 for key, field in names.items()}
    except (OSError, KeyError):
        return None


def measure_cold(request: dict) -> dict:
    """Opens the models and runs every part once: times, and memory over a process that has the engine."""
    arrays = example_inputs(_tensors(request))
    begin = time.perf_counter()
    import_engine(request["engine"])
    import_ms = _ms(begin)
    _give_back()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew, without that of the imports
    before = memory_bytes()
    begin = time.perf_counter()
    engine = _open(request)
    load_ms = _ms(begin)
    _give_back()
    opened = memory_bytes()
    begin = time.perf_counter()
    _run(engine, PARTS, arrays)
    first_encode_ms = _ms(begin)
    _run(engine, PARTS, arrays)  # a second time: what only the first run needs is gone again
    _give_back()
    after = memory_bytes()
    result = {"import_ms": import_ms, "load_ms": load_ms, "first_encode_ms": first_encode_ms}
    if before is None or opened is None or after is None:
        return result | dict.fromkeys(("opened_bytes", "private_bytes", "mapped_bytes", "peak_bytes"))
    return result | {
        "opened_bytes": opened["private"] - before["private"],
        "private_bytes": after["private"] - before["private"],
        "mapped_bytes": after["mapped"] - before["mapped"],
        "peak_bytes": after["peak"] - before["resident"],
    }


def _give_back() -> None:
    """Frees what is not used, so that no figure depends on how much the allocator happens to hold back."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc only


def measure_latency(request: dict) -> dict:
    """Times each part, a keystroke (text and fuse) and the whole, warmed up; milliseconds of every run."""
    arrays = example_inputs(_tensors(request))
    engine = _open(request)
    stages = {part: (part,) for part in PARTS} | {"keystroke": _KEYSTROKE, "encode": PARTS}
    return {
        name: timed(lambda parts=parts: _run(engine, parts, arrays), request["runs"])
        for name, parts in stages.items()
    }


def timed(call: Callable[[], object], runs: int) -> list[float]:
    """Milliseconds of each of `runs` calls, after a warm-up."""
    warm = time.perf_counter()
    while time.perf_counter() - warm < _WARM_UP_S:
        call()
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        call()
        times.append(_ms(begin))
    return times


def _ms(begin: float) -> float:
    return (time.perf_counter() - begin) * 1e3


def _tensors(request: dict) -> dict[str, TensorSpec]:
    return {name: TensorSpec(dtype, tuple(shape)) for name, (dtype, shape) in request["tensors"].items()}


def _open(request: dict) -> Engine:
    paths = {signature: Path(path) for signature, path in request["paths"].items()}
    cache = Path(request["weight_cache"]) if request.get("weight_cache") else None
    engine = Engine(paths, request["threads"], _tensors(request), cache)
    engine.open(*PARTS)
    return engine


def _run(engine: Engine, parts: tuple[str, ...], arrays: dict[str, np.ndarray]) -> None:
    known = dict(arrays)
    for part in parts:
        known |= engine.run(part, {name: known[name] for name in SIGNATURES[part].inputs})


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    end_with_parent(asked["parent"])
    measured = {"cold": measure_cold, "latency": measure_latency}[asked["measure"]](asked)
    print(json.dumps(measured))
