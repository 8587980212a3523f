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
            self.signatures[name] = Signature(tuple(part.inputs), tuple(part.outputs))
            self.tensors[name] = {
                tensor: TensorSpec(array.dtype.name, array.shape)
                for tensor, array in (part.inputs | part.outputs).items()
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


class _Part(NamedTuple):
    """A signature: memory of its tensors, and LiteRT's handles of them as C arrays."""

    index: int
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    input_buffers: ctypes.Array
    output_buffers: ctypes.Array


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
            self.parts = dict(self._part(model, index) for index in range(count))
        except BaseException:
            self.close()
            raise

    def run(self, signature: str, arrays: Arrays) -> dict[str, np.ndarray]:
        """Runs a signature on arrays of its dtypes and shapes; the outputs are the caller's own."""
        part = self.parts[signature]
        for name, memory in part.inputs.items():
            np.copyto(memory, arrays[name])
        self._library.call(
            "RunCompiledModel", self._handle, part.index,
            len(part.inputs), part.input_buffers, len(part.outputs), part.output_buffers,
        )  # fmt: skip
        return {name: memory.copy() for name, memory in part.outputs.items()}

    def close(self) -> None:
        """Frees everything; nothing may run after it."""
        self._owned.close()

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

    def _part(self, model: int, index: int) -> tuple[str, _Part]:
        handle = self._library.get("GetModelSignature", model, index)
        inputs, input_buffers = self._tensors(handle, "Input")
        outputs, output_buffers = self._tensors(handle, "Output")
        name = self._library.text("GetSignatureKey", handle)
        return name, _Part(index, inputs, outputs, input_buffers, output_buffers)

    def _tensors(self, signature: int, side: str) -> tuple[dict[str, np.ndarray], ctypes.Array]:
        library, memory, buffers = self._library, {}, []
        for index in range(library.get(f"GetNumSignature{side}s", signature)):
            name = library.text(f"GetSignature{side}Name", signature, index)
            kind = TensorType()
            tensor = library.get(f"GetSignature{side}TensorByIndex", signature, index)
            library.call("GetRankedTensorType", tensor, ctypes.byref(kind))
            if min(kind.shape, default=0) < 0:
                raise RuntimeError(f"it leaves the size of {name} open")
            array = memory[name] = _aligned(kind.shape, np.dtype(kind.dtype))
            arguments = (ctypes.byref(kind), array.ctypes.data, array.nbytes, None)
            buffer = library.get("CreateTensorBufferFromHostMemory", *arguments)
            buffers.append(self._own("TensorBuffer", buffer))
        return memory, (ctypes.c_void_p * len(buffers))(*buffers)


def _probes(parts: dict[str, _Part]) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Inputs for every signature, two each; ids and masks are 0 and 1, which every model takes."""
    for start in (0, 12345):
        for name, part in parts.items():
            arrays = {}
            for tensor, memory in part.inputs.items():
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
