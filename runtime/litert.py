"""Runs .tflite files through LiteRT's C interface, whose CPU options its Python interpreter does not have.

LiteRT's Python `CompiledModel` has them, but takes the file of packed weights by its path alone, writes to
standard error, and loads the GPU library: the process as a whole takes more private memory.

With the packed weights in a file (`weight_cache`), the shipped encoder takes 2 MB less private memory
than in the interpreter, computes the same bits, and is as fast.
"""

import contextlib
import ctypes
import math
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .litert_c import CPU, Library, TensorType, without_notices
from .model import Arrays, EngineError, Model
from .tensors import Signature, TensorSpec
from .weight_cache import packed_weights

_ALIGNMENT = 64  # bytes, of a tensor's memory
FIRST = 16
"""A size that a file leaves open, before it is first run."""


class LiteRtModel(Model):
    """A .tflite file: each of its signatures. One thread at a time may run it."""

    def __init__(self, path: Path, threads: int, library: Library, weight_cache: Path | None) -> None:
        """Opens a file.

        Args:
            path: The file.
            threads: Threads that a run may use.
            library: LiteRT.
            weight_cache: Folder that keeps packed weights; None = they stay in private memory.

        Raises:
            EngineError: LiteRT cannot open it, or it has no signatures.
        """
        self.path = path
        self._library = library
        try:
            packed = None
            if weight_cache is not None:
                packed = packed_weights(path, library.build, weight_cache, self._pack)
            self._compiled = _Compiled(library, path, threads, packed)
        except RuntimeError as error:
            raise EngineError(f"{path}: LiteRT cannot open it: {error}") from error
        weakref.finalize(self, self._compiled.close).atexit = False  # the process frees all at once
        if not self._compiled.parts:
            raise EngineError(f"{path}: the model has no signatures")
        self.signatures, self.tensors = {}, {}
        for name, part in self._compiled.parts.items():
            self.signatures[name] = Signature(tuple(part.inputs.types), tuple(part.outputs.types))
            self.tensors[name] = {
                tensor: TensorSpec(kind.dtype, kind.shape)
                for tensor, kind in (part.inputs.types | part.outputs.types).items()
            }

    def _pack(self, descriptor: int) -> bool:
        """Has its packed weights written to a file; tells whether the model computes the same with it.

        Not every model does: XNNPACK takes two layers that share weights and bias for one, though their
        activations are quantized differently, as those of an unrolled recurrent layer are.
        """
        computed = []
        for packed in (None, descriptor):
            own = None if packed is None else os.dup(packed)
            compiled = _Compiled(self._library, self.path, 1, own)
            computed.append([compiled.run(name, arrays) for name, arrays in _probes(compiled.parts)])
            compiled.close()
            del compiled
            _return_freed_memory()
        return all(
            plain[name].tobytes() == cached[name].tobytes()
            for plain, cached in zip(*computed, strict=True)
            for name in plain
        )

    def _call(self, signature: str, arrays: Arrays) -> dict[str, np.ndarray]:
        try:
            return self._compiled.run(signature, arrays)
        except RuntimeError as error:
            raise EngineError(f"{self.path.name}: {signature}: {error}") from error


class _Side:
    """The inputs or the outputs of a signature.

    Attributes:
        types: their dtypes and shapes, by name.
        memory: of each, as an array.
        buffers: LiteRT's handles of it, as a C array.
    """

    def __init__(self, types: dict[str, TensorType]) -> None:
        self.types = types
        self.memory: dict[str, np.ndarray] = {}
        self.buffers = (ctypes.c_void_p * len(types))()


class _Part(NamedTuple):
    """A signature."""

    index: int
    inputs: _Side
    outputs: _Side


class _Compiled:
    """The native objects behind a model, freed together."""

    def __init__(self, library: Library, path: Path, threads: int, packed: int | None) -> None:
        """Opens a file.

        Args:
            library: LiteRT.
            path: The file.
            threads: Threads that a run may use.
            packed: Descriptor of packed weights, or of an empty file to write them to; closed in any case.

        Raises:
            RuntimeError: LiteRT cannot open it, or a tensor has no dtype or size that numpy can hold.
        """
        self._library = library
        self._owned = contextlib.ExitStack()
        self.parts: dict[str, _Part] = {}
        try:
            with contextlib.ExitStack() as unused:
                if packed is not None:
                    unused.callback(os.close, packed)
                environment = self._own("Environment", library.create_environment())
                model = library.get("CreateModelFromFile", environment, os.fsencode(path))
                options = self._own("Options", library.get("CreateOptions"))
                self._own("Model", model)
                unused.pop_all()  # XNNPACK closes it
            self._handle = self._compile(environment, model, options, threads, packed)
            count = library.get("GetNumModelSignatures", model)
            for index in range(count):
                self._add_part(model, index)
        except BaseException:
            self.close()
            raise

    def run(self, signature: str, arrays: Arrays) -> dict[str, np.ndarray]:
        """Runs a signature on arrays of its dtypes and shapes; the outputs are the caller's own."""
        part = self.parts[signature]
        for place, (name, memory) in enumerate(part.inputs.memory.items()):
            if memory.shape != arrays[name].shape:
                self._resize(part, place, name, arrays[name].shape)
            np.copyto(part.inputs.memory[name], arrays[name])
        inputs, outputs = part.inputs.buffers, part.outputs.buffers
        self._library.call(
            "RunCompiledModel", self._handle, part.index, len(inputs), inputs, len(outputs), outputs
        )
        return {name: memory.copy() for name, memory in part.outputs.memory.items()}

    def close(self) -> None:
        """Frees everything; nothing may run after it."""
        for part in self.parts.values():
            for buffer in (*part.inputs.buffers, *part.outputs.buffers):
                if buffer:
                    self._library.destroy("TensorBuffer", buffer)
        self.parts = {}
        self._owned.close()

    def _resize(self, part: _Part, place: int, name: str, shape: tuple[int, ...]) -> None:
        """Gives an input that leaves a size open another one."""
        sizes = (ctypes.c_int * len(shape))(*shape)
        self._library.call(
            "CompiledModelResizeInputTensor", self._handle, part.index, place, sizes, len(shape)
        )
        self._allocate(part.inputs, place, name, shape)

    def _own(self, kind: str, handle: int) -> int:
        self._owned.callback(self._library.destroy, kind, handle)
        return handle

    def _compile(self, environment: int, model: int, options: int, threads: int, packed: int | None) -> int:
        library = self._library
        lines = [f"num_threads = {threads}"]
        if packed is not None:
            lines.append(f"weight_cache_file_descriptor = {packed}")
        self._text = ctypes.create_string_buffer("\n".join(lines).encode())
        library.call("SetOptionsHardwareAccelerators", options, CPU)
        library.add_cpu_options(options, self._text)
        with without_notices():
            handle = library.get("CreateCompiledModel", environment, model, options)
        return self._own("CompiledModel", handle)

    def _add_part(self, model: int, index: int) -> None:
        handle = self._library.get("GetModelSignature", model, index)
        part = _Part(index, *(_Side(self._types(handle, side)) for side in ("Input", "Output")))
        self.parts[self._library.text("GetSignatureKey", handle)] = part
        for place, (name, kind) in enumerate(part.outputs.types.items()):
            if min(kind.shape, default=0) < 0:
                raise RuntimeError(f"it leaves the size of {name} open")
            self._allocate(part.outputs, place, name, kind.shape)
        for place, (name, kind) in enumerate(part.inputs.types.items()):
            if min(kind.shape, default=0) < 0:
                self._resize(part, place, name, tuple(size if size >= 0 else FIRST for size in kind.shape))
            else:
                self._allocate(part.inputs, place, name, kind.shape)

    def _types(self, signature: int, side: str) -> dict[str, TensorType]:
        library, types = self._library, {}
        for index in range(library.get(f"GetNumSignature{side}s", signature)):
            kind = types[library.text(f"GetSignature{side}Name", signature, index)] = TensorType()
            tensor = library.get(f"GetSignature{side}TensorByIndex", signature, index)
            library.call("GetRankedTensorType", tensor, ctypes.byref(kind))
        return types

    def _allocate(self, side: _Side, place: int, name: str, shape: tuple[int, ...]) -> None:
        """Makes a tensor's memory, and gives back what it had before."""
        kind = side.types[name]
        array = _aligned(shape, np.dtype(kind.dtype))
        arguments = (ctypes.byref(kind.resized(shape)), array.ctypes.data, array.nbytes, None)
        buffer = self._library.get("CreateTensorBufferFromHostMemory", *arguments)
        if side.buffers[place]:
            self._library.destroy("TensorBuffer", side.buffers[place])
        side.memory[name], side.buffers[place] = array, buffer


def _probes(parts: dict[str, _Part]) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Inputs for every signature, two each; ids and masks are 0 and 1, which every model takes."""
    for start in (0, 12345):
        for name, part in parts.items():
            arrays = {}
            for tensor, memory in part.inputs.memory.items():
                count = np.arange(start, start + memory.size, dtype=np.uint32)
                noise = (count * np.uint32(2_654_435_761) >> np.uint32(24)).reshape(memory.shape)  # 0 to 255
                if memory.dtype.kind == "f":
                    noise = noise / 128 - 1
                elif memory.dtype != np.uint8:
                    noise = noise & 1
                arrays[tensor] = noise.astype(memory.dtype)
            yield name, arrays


def _return_freed_memory() -> None:
    """Gives freed memory back to the system, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array whose memory begins where LiteRT wants it."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
