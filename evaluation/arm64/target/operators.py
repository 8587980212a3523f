"""What each operator of a .tflite executes, as LiteRT's own profiler sees it: through LiteRT's C interface.

XNNPACK and LiteRT read the monotonic clock around every operator that they run, after all fusion and
delegation, and report whole microseconds. Under counter.c these are instructions. Only the C interface hands
these events out.
"""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path

_CPU = 1
_LOCK_FOR_WRITING = 1
_OPERATOR, _DELEGATED_OPERATOR = 2, 8  # event types: run by LiteRT itself, run by XNNPACK


class _Event(ctypes.Structure):
    _fields_ = [
        ("tag", c_char_p),
        ("type", c_int),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("memory", c_size_t * 6),
        ("metadata", c_uint64 * 2),
        ("source", c_int),
    ]


class _TensorType(ctypes.Structure):
    """LiteRtRankedTensorType, with room behind it."""

    _fields_ = [("code", c_int), ("rank_and_flags", c_uint32), ("sizes", c_int32 * 8), ("rest", c_char * 480)]


class _LiteRt:
    """The library's functions as methods; a status other than 0 raises."""

    def __init__(self) -> None:
        import ai_edge_litert

        self._library = ctypes.CDLL(str(Path(ai_edge_litert.__file__).with_name("libLiteRt.so")))

    def __getattr__(self, name: str):
        function = getattr(self._library, f"LiteRt{name}")

        def checked(*arguments) -> None:
            status = function(*arguments)
            if status != 0:
                raise RuntimeError(f"LiteRt{name} failed with status {status}")

        return checked

    def made(self, name: str, *arguments) -> c_void_p:
        """Calls a function whose last argument receives a new handle."""
        handle = c_void_p()
        getattr(self, name)(*arguments, byref(handle))
        return handle


def profile(path: str, signature: str, arrays: dict, *, warm: bool = True) -> list[list]:
    """Profiles a run of a signature.

    Args:
        path: the .tflite.
        signature: its name.
        arrays: inputs by name, batch 1.
        warm: run it once before, so that nothing is counted that a first run alone does.

    Returns:
        For each operator run, in order: its name, who ran it ("xnnpack" or "litert"), its instructions.
    """
    litert = _LiteRt()
    environment = litert.made("CreateEnvironment", 0, None)
    model = litert.made("CreateModelFromFile", environment, path.encode())
    compiled = litert.made("CreateCompiledModel", environment, model, _options(litert))
    profiler = litert.made("CompiledModelGetProfiler", compiled)
    index, handle = _find_signature(litert, model, signature)
    inputs = _buffers(litert, environment, compiled, index, handle, "Input", arrays)
    outputs = _buffers(litert, environment, compiled, index, handle, "Output", {})

    def run() -> None:
        sizes = c_size_t(len(inputs)), inputs, c_size_t(len(outputs)), outputs
        litert.RunCompiledModel(compiled, c_size_t(index), *sizes)

    if warm:
        run()
    litert.StartProfiler(profiler)
    run()
    litert.StopProfiler(profiler)
    number = c_int()
    litert.GetNumProfilerEvents(profiler, byref(number))
    events = (_Event * number.value)()
    litert.GetProfilerEvents(profiler, number, events)
    runners = {_OPERATOR: "litert", _DELEGATED_OPERATOR: "xnnpack"}
    return [[e.tag.decode(), runners[e.type], e.elapsed_us] for e in events if e.type in runners]


def _options(litert: _LiteRt) -> c_void_p:
    options = litert.made("CreateOptions")
    litert.SetOptionsHardwareAccelerators(options, _CPU)
    libc = ctypes.CDLL(None)
    libc.strdup.restype = c_void_p
    payload = c_void_p(libc.strdup(b"enable_profiling = true\n"))  # freed by the library
    free = ctypes.cast(libc.free, c_void_p)
    runtime = litert.made("CreateOpaqueOptions", b"runtime_options_string", payload, free)
    litert.AddOpaqueOptions(options, runtime)
    return options


def _find_signature(litert: _LiteRt, model: c_void_p, name: str) -> tuple[int, c_void_p]:
    number = c_size_t()
    litert.GetNumModelSignatures(model, byref(number))
    for index in range(number.value):
        handle = litert.made("GetModelSignature", model, c_size_t(index))
        key = c_char_p()
        litert.GetSignatureKey(handle, byref(key))
        if key.value == name.encode():
            return index, handle
    raise RuntimeError(f"no signature {name!r}")


def _buffers(litert: _LiteRt, environment, compiled, index: int, signature, kind: str, arrays: dict):
    """Makes a signature's "Input" or "Output" buffers in its order, and fills those that `arrays` names."""
    number = c_size_t()
    getattr(litert, f"GetNumSignature{kind}s")(signature, byref(number))
    buffers = (c_void_p * number.value)()
    for position in range(number.value):
        at = c_size_t(position)
        name = c_char_p()
        getattr(litert, f"GetSignature{kind}Name")(signature, at, byref(name))
        tensor = litert.made(f"GetSignature{kind}TensorByIndex", signature, at)
        tensor_type = _TensorType()
        litert.GetRankedTensorType(tensor, byref(tensor_type))
        array = arrays.get(name.value.decode())
        if array is not None and -1 in tensor_type.sizes[: array.ndim]:
            tensor_type.sizes[: array.ndim] = array.shape
            sizes = (c_int * array.ndim)(*array.shape)
            rank = c_size_t(array.ndim)
            litert.CompiledModelResizeInputTensor(compiled, c_size_t(index), at, sizes, rank)
        wanted = litert.made(f"GetCompiledModel{kind}BufferRequirements", compiled, c_size_t(index), at)
        kind_of = byref(tensor_type)
        buffer = litert.made("CreateManagedTensorBufferFromRequirements", environment, kind_of, wanted)
        buffers[position] = buffer.value
        if array is not None:
            data = array.tobytes()
            memory = c_void_p()
            litert.LockTensorBuffer(buffer, byref(memory), _LOCK_FOR_WRITING)
            ctypes.memmove(memory, data, len(data))
            litert.UnlockTensorBuffer(buffer)
    return buffers
