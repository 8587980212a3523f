"""LiteRT's C interface, as far as `litert` uses it: every call typed, and its status checked.

The interface changes between versions, and a wrong call ends the process: TESTED holds the versions that this
module was written against.
"""

import contextlib
import ctypes
import functools
import os
from collections.abc import Iterator
from ctypes import c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from pathlib import Path
from types import ModuleType

TESTED = ("2.3.0",)
CPU = 1  # the accelerator, as a bit
DTYPES = {1: "float32", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8", 10: "float16"}
_ACCELERATORS, _LOG_SEVERITY = 24, 25  # options of an environment
_INTEGER = 2  # type of their values
_SILENT = 4  # value of the second: nothing prints from a library
_RANK_BITS = 0x7F
_OUT = ctypes.POINTER(c_void_p)  # where a function puts the handle, or the number, that it returns
_FREE = ctypes.CFUNCTYPE(None, c_void_p)
_KEEP = _FREE(lambda payload: None)  # Python frees what it made

_FUNCTIONS: dict[str, tuple] = {
    "CreateEnvironment": (c_int, c_void_p, _OUT),
    "CreateModelFromFile": (c_void_p, c_char_p, _OUT),
    "CreateOptions": (_OUT,),
    "SetOptionsHardwareAccelerators": (c_void_p, c_int),
    "CreateOpaqueOptions": (c_char_p, c_void_p, _FREE, _OUT),
    "AddOpaqueOptions": (c_void_p, c_void_p),
    "CreateCompiledModel": (c_void_p, c_void_p, c_void_p, _OUT),
    "GetNumModelSignatures": (c_void_p, _OUT),
    "GetModelSignature": (c_void_p, c_size_t, _OUT),
    "GetSignatureKey": (c_void_p, _OUT),
    "GetNumSignatureInputs": (c_void_p, _OUT),
    "GetNumSignatureOutputs": (c_void_p, _OUT),
    "GetSignatureInputName": (c_void_p, c_size_t, _OUT),
    "GetSignatureOutputName": (c_void_p, c_size_t, _OUT),
    "GetSignatureInputTensorByIndex": (c_void_p, c_size_t, _OUT),
    "GetSignatureOutputTensorByIndex": (c_void_p, c_size_t, _OUT),
    "GetRankedTensorType": (c_void_p, c_void_p),
    "CreateTensorBufferFromHostMemory": (c_void_p, c_void_p, c_size_t, c_void_p, _OUT),
    "CompiledModelResizeInputTensor": (c_void_p, c_size_t, c_size_t, c_void_p, c_size_t),
    "RunCompiledModel": (c_void_p, c_size_t, c_size_t, c_void_p, c_size_t, c_void_p),
    "DestroyEnvironment": (c_void_p,),
    "DestroyModel": (c_void_p,),
    "DestroyOptions": (c_void_p,),
    "DestroyCompiledModel": (c_void_p,),
    "DestroyTensorBuffer": (c_void_p,),
}


class TensorType(ctypes.Structure):
    """A tensor's dtype and shape."""

    _fields_ = (
        ("code", c_int), ("rank_and_flags", c_uint32), ("sizes", c_int32 * 8), ("strides", c_uint32 * 8),
    )  # fmt: skip

    def resized(self, shape: tuple[int, ...]) -> "TensorType":
        """The same of another shape."""
        other = TensorType.from_buffer_copy(self)
        other.sizes[: len(shape)] = shape
        return other

    @property
    def dtype(self) -> str:
        """Its numpy name.

        Raises:
            RuntimeError: numpy has none, or none that an encoder needs.
        """
        if self.code not in DTYPES:
            raise RuntimeError(f"a tensor is of LiteRT's type {self.code}")
        return DTYPES[self.code]

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes; -1 = left open."""
        return tuple(self.sizes[: self.rank_and_flags & _RANK_BITS])


class _Value(ctypes.Structure):
    _fields_ = (("type", c_int), ("integer", c_int64))


class _EnvironmentOption(ctypes.Structure):
    _fields_ = (("tag", c_int), ("value", _Value))


class Library:
    """LiteRT's shared library.

    Attributes:
        build: What tells it from other builds.
    """

    def __init__(self, path: Path, version: str) -> None:
        self.build = f"litert {version} {path.stat().st_size}"
        library = ctypes.CDLL(str(path))
        self._functions = {name: getattr(library, f"LiteRt{name}") for name in _FUNCTIONS}
        for name, function in self._functions.items():
            function.argtypes = _FUNCTIONS[name]
            function.restype = None if name.startswith("Destroy") else c_int

    def call(self, name: str, *arguments: object) -> None:
        """Calls a function.

        Raises:
            RuntimeError: It fails.
        """
        status = self._functions[name](*arguments)
        if status:
            raise RuntimeError(f"LiteRt{name} ended with status {status}")

    def get(self, name: str, *arguments: object) -> int:
        """Calls a function; returns the handle or the number that it puts where its last argument says.

        Raises:
            RuntimeError: It fails.
        """
        value = c_void_p()
        self.call(name, *arguments, ctypes.byref(value))
        return value.value or 0

    def text(self, name: str, *arguments: object) -> str:
        """As `get`, for a function that returns a text."""
        return ctypes.string_at(self.get(name, *arguments)).decode()

    def create_environment(self) -> int:
        """Makes an environment of the CPU alone; by default LiteRT would load its GPU library too."""
        options = (_EnvironmentOption * 2)(
            _EnvironmentOption(_ACCELERATORS, _Value(_INTEGER, CPU)),
            _EnvironmentOption(_LOG_SEVERITY, _Value(_INTEGER, _SILENT)),
        )
        return self.get("CreateEnvironment", len(options), options)

    def add_cpu_options(self, options: int, text: ctypes.Array) -> None:
        """Adds options of the CPU accelerator, a `name = value` a line; their text must outlive them."""
        self.call("AddOpaqueOptions", options, self.get("CreateOpaqueOptions", b"xnnpack", text, _KEEP))

    def destroy(self, kind: str, handle: int) -> None:
        """Frees what a `Create` function made."""
        self._functions[f"Destroy{kind}"](handle)


@contextlib.contextmanager
def without_notices() -> Iterator[None]:
    """Keeps what TensorFlow Lite says as it makes its first delegate in a process away from the terminal.

    LiteRT's log severity does not reach that line, and nothing sets TensorFlow Lite's own, so the C library's
    `stderr`, a variable in GNU's, is another stream meanwhile. Standard error itself is never touched: what
    Python and other processes write arrives.
    """
    if _STDERR is None:
        yield
        return
    _STDERR.value = _nowhere()
    try:
        yield
    finally:
        _STDERR.value = _OWN_STDERR


def _c_stderr() -> c_void_p | None:
    """The C library's variable; None where it may not be set."""
    library = ctypes.CDLL(None) if os.name == "posix" else None
    return c_void_p.in_dll(library, "stderr") if hasattr(library, "gnu_get_libc_version") else None


_STDERR = _c_stderr()
_OWN_STDERR = _STDERR.value if _STDERR else None


@functools.cache
def _nowhere() -> int | None:
    """A stream that keeps nothing. It stays open: another thread may be writing to it at any time."""
    fopen = ctypes.CDLL(None).fopen
    fopen.argtypes, fopen.restype = (c_char_p, c_char_p), c_void_p
    return fopen(os.devnull.encode(), b"we") or _OWN_STDERR


@functools.cache
def open_library(package: ModuleType) -> Library | None:
    """Opens the shared library of an installed ai_edge_litert; None where this module cannot use it."""
    version = getattr(package, "__version__", "")
    if version not in TESTED or ctypes.sizeof(c_void_p) != ctypes.sizeof(c_int64):
        return None
    try:
        return Library(Path(package.__file__ or "").with_name("libLiteRt.so"), version)
    except (OSError, AttributeError):
        return None
