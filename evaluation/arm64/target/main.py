"""Runs inside of the emulated ARM64 Python: opens models, runs them on given rows, counts what they execute.

Started as `python main.py REQUEST.json`; numpy and the engines are all it imports. Under counter.c the
monotonic clock advances by a microsecond an instruction, so the difference of two readings is an exact count.

Files are worked on in a forked child: engines are imported once, and after a model that crashes a new child
goes on with the next. Progress goes to standard output, one JSON object a line; a file's result is written
beside its log.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import statistics
import sys
import time
import traceback
from pathlib import Path

_AT_HWCAP = 16
_PROT_READ_WRITE = 3
_COUNTED_INSNS = 4_000_000  # an inference is repeated until about this many instructions were counted
_MOST_REPEATS = 20
_SHARED_ROWS = 8  # fewer are not worth a second process
_HEAVY_INSNS = 250_000_000  # of so many, what a run does once, and its copying, are less than a thousandth
_SHORT_TEXTS = (8, 16, 32)  # in tokens, of those whose cost is told
_RAISED = 1 << 8  # the wait status of a process that exits with 1


def hide_hwcap(bits: int) -> None:
    """Clears bits of getauxval(AT_HWCAP), which glibc answers from a word in the dynamic loader's data."""
    libc = ctypes.CDLL(None)
    libc.getauxval.restype, libc.getauxval.argtypes = ctypes.c_uint64, [ctypes.c_uint64]
    libc.dlvsym.restype = ctypes.c_void_p
    libc.dlvsym.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    current = libc.getauxval(_AT_HWCAP)
    if not current & bits:
        return
    loader = libc.dlvsym(None, b"_rtld_global_ro", b"GLIBC_PRIVATE")
    page = os.sysconf("SC_PAGESIZE")
    libc.mprotect(loader & -page, 2 * page, _PROT_READ_WRITE)
    words = (ctypes.c_uint64 * 64).from_address(loader)
    for index in range(64):
        if words[index] == current:
            words[index] = current & ~bits
            break
    if libc.getauxval(_AT_HWCAP) & bits:
        raise RuntimeError("cannot hide CPU features from the engines with this C library")


def count_insns(call, argument, samples: int) -> list[float]:
    """Counts the instructions of `call(argument)`, which must have run before.

    Returns:
        Independent counts, each the median over enough calls, less what Python and the clock take.
    """
    overhead = statistics.median(_insns_a_call(abs, 0) for _ in range(_MOST_REPEATS))
    first = _insns_a_call(call, argument)
    repeats = max(1, min(_MOST_REPEATS, round(_COUNTED_INSNS / first)))
    counts = [first] if repeats == 1 else []
    while len(counts) < samples:
        counts.append(statistics.median(_insns_a_call(call, argument) for _ in range(repeats)))
    return [count - overhead for count in counts]


def _insns_a_call(call, argument) -> float:
    start = time.monotonic_ns()
    call(argument)
    return (time.monotonic_ns() - start) / 1000


def work(file: dict, request: dict, say) -> dict:
    """Runs one model file: every signature on its rows, then counts, then operators where asked for."""
    import engines  # beside this file
    import numpy as np

    golden = np.load(request["inputs"], allow_pickle=False)
    outputs_dir = Path(file["outputs_dir"])
    outputs_dir.mkdir(parents=True, exist_ok=True)
    model = engines.open_model(file["path"])
    result: dict = {"counts": {}, "operators": {}}
    counts, rows, known, heavy = result["counts"], file["rows"], {}, set()

    def count(signature: str) -> None:
        counts[signature] = count_insns(*model.prepared(signature), file["samples"])

    if file["most_insns"]:
        for signature in file["signatures"]:
            known[signature], insns = _run_ends(model, signature, golden, rows, file["samples"])
            if min(insns) >= _HEAVY_INSNS:
                counts[signature] = insns
                heavy.add(signature)
            else:
                count(signature)
            say()
        insns = sum(found[0] for found in counts.values())
        rows = _affordable(rows, insns, file["most_insns"], file["fewest_rows"])
    result["rows"] = rows
    for signature in file["signatures"]:
        names = model.inputs[signature]
        arrays = {name: golden[name][rows] for name in names}
        ran = [known.get(signature, {}).get(row) for row in rows]
        _run_rows(model, signature, arrays, outputs_dir / signature, say, ran)
        if signature not in counts:
            count(signature)
            say()
        if signature == "text" and model.is_open(signature):
            _count_short(model, golden, rows[:1], counts, file["samples"])
        if signature == "fuse":
            _run_composed(model, names, arrays, outputs_dir, say)
    if file.get("operators"):
        import operators  # beside this file

        for signature in file["signatures"]:
            arrays = {name: golden[name][file["rows"][:1]] for name in model.inputs[signature]}
            profiled = operators.profile(file["path"], signature, arrays, warm=signature not in heavy)
            result["operators"][signature] = profiled
            say()
    return result


def _count_short(model, golden, rows: list[int], counts: dict, samples: int) -> None:
    """Counts `text` of fewer tokens too, as `text_16` and so on."""
    for length in _SHORT_TEXTS:
        model.run("text", {name: golden[name][rows][:, :length].copy() for name in model.inputs["text"]})
        counts[f"text_{length}"] = count_insns(*model.prepared("text"), samples)


def _run_ends(
    model, signature: str, golden, rows: list[int], samples: int
) -> tuple[dict[int, dict], list[float]]:
    """Runs the first row, and the last one too where two samples are wanted: those that are left out last.

    Returns:
        Outputs by row, and the instructions that each run took, with its copying.
    """
    outputs, insns = {}, []
    for row in dict.fromkeys((rows[0], rows[-1])[:samples]):
        arrays = {name: golden[name][row : row + 1] for name in model.inputs[signature]}
        start = time.monotonic_ns()
        outputs[row] = model.run(signature, arrays)
        insns.append((time.monotonic_ns() - start) / 1000)
    return outputs, insns


def _affordable(rows: list[int], insns: float, most_insns: int, fewest: int) -> list[int]:
    """Thins rows out evenly where all of them, of so many instructions each, exceed the limit."""
    count = min(len(rows), max(fewest, int(most_insns / insns)))
    return [rows[round(place * (len(rows) - 1) / max(count - 1, 1))] for place in range(count)]


def _run_rows(
    model, signature: str, arrays: dict, target: Path, say, ran: list[dict | None] | None = None
) -> None:
    """Runs a signature on each row and saves target.TENSOR.npy for each output.

    `ran` holds the outputs of the rows that ran before. Of many rows a second process runs the first half:
    the emulator emulates each on a core of its own.
    """
    import numpy as np

    count = len(next(iter(arrays.values())))
    half = count // 2 if count >= _SHARED_ROWS else 0

    def infer(rows: range) -> dict:
        outputs: dict[str, list] = {}
        for row in rows:
            run = ran[row] if ran else None
            run = run or model.run(signature, {name: array[row : row + 1] for name, array in arrays.items()})
            for name, array in run.items():
                outputs.setdefault(name, []).append(array)
            say()
        return {name: np.concatenate(values) for name, values in outputs.items()}

    first = Path(f"{target}.first.npz")
    helper = _forked(lambda: np.savez(first, **infer(range(half)))) if half else None
    outputs = infer(range(half, count))
    if helper:
        _await(helper)
        with np.load(first) as earlier:
            outputs = {name: np.concatenate([earlier[name], array]) for name, array in outputs.items()}
        first.unlink()
    for name, array in outputs.items():
        np.save(f"{target}.{name}.npy", array)


def _forked(task) -> int:
    """Starts a task in a copy of this process, with what is left of this one's time; returns its number."""
    left = signal.alarm(0)
    child = os.fork()
    signal.alarm(left)
    if child:
        return child
    try:
        task()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _await(child: int) -> None:
    """Waits for a copy of this process; dies as it died, so that whoever watches this one sees why."""
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
    if status:
        raise RuntimeError("the process that ran the other rows failed")


def _run_composed(model, names, arrays: dict, outputs_dir: Path, say) -> None:
    """Fuses the tokens that this engine computed itself, as an app does."""
    import numpy as np

    own = {"screen_tokens": "vision", "text_token": "text"}
    saved = {name: outputs_dir / f"{own[name]}.{name}.npy" for name in names if name in own}
    if all(path.exists() for path in saved.values()):
        composed = {name: np.load(saved[name]) if name in saved else arrays[name] for name in names}
        _run_rows(model, "fuse", composed, outputs_dir / "composed", say)


def work_through(files: list[dict], request: dict) -> None:
    """Works on files in order, and says how each ended."""
    progress = os.dup(1)

    def say(**message) -> None:
        os.write(progress, json.dumps(message).encode() + b"\n")

    for file in files:
        log = os.open(file["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        signal.alarm(request["timeout_s"])
        try:
            result = work(file, request, lambda path=file["path"]: say(ran=path))
        except Exception:
            traceback.print_exc()
            sys.stderr.flush()
            Path(file["result"]).write_text("null")
            say(finished=file["path"], status=_RAISED)
            continue
        partial = Path(file["result"] + ".partial")
        partial.write_text(json.dumps(result))
        partial.rename(file["result"])
        say(finished=file["path"], status=0)


def main(path: str) -> None:
    """Works through a request's files in a child; where a file kills it, another child goes on after it."""
    request = json.loads(Path(path).read_text())
    hide_hwcap(request["hidden_hwcap"])
    gc.disable()
    for name in request["imports"]:
        __import__(name)
    files = request["files"]
    while files:
        child = os.fork()
        if child == 0:
            work_through(files, request)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if status == 0:
            break
        died_at = next(index for index, file in enumerate(files) if not Path(file["result"]).exists())
        message = {"finished": files[died_at]["path"], "status": status}
        print(json.dumps(message), flush=True)
        files = files[died_at + 1 :]


if __name__ == "__main__":
    main(sys.argv[1])
