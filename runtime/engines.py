"""Opens .tflite files with LiteRT and .onnx files with ONNX Runtime behind one `run(signature, arrays)`.

Names, shapes and dtypes are checked here before every run: LiteRT would silently resize the model to a
wrongly shaped array and then crash.
"""

import importlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from runtime.bundle import (
    PARTS,
    REGION_MASKS,
    SIGNATURES,
    Bundle,
    Signature,
    TensorSpec,
    select_files,
    signatures,
)
from runtime.errors import InputError

Arrays = Mapping[str, np.ndarray]
_ANY = -1  # a dimension that the file leaves open
_PACKAGES = {
    "tflite": ("ai_edge_litert.interpreter", "LiteRT", "pip install ai-edge-litert"),
    "onnx": ("onnxruntime", "ONNX Runtime", "pip install onnxruntime"),
}
_ONNX_DTYPES = {"float": "float32", "double": "float64"}


class EngineError(InputError):
    """The engine is missing, or the file or the arrays do not fit it."""


class Model(ABC):
    """One opened model file.

    Attributes:
        path: The file.
        signatures: What it can run, by name.
        tensors: By signature, the dtype and shape of each of its inputs and outputs; -1 = any size.
    """

    path: Path
    signatures: dict[str, Signature]
    tensors: dict[str, dict[str, TensorSpec]]

    def run(self, signature: str, arrays: Arrays) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: One of `signatures`.
            arrays: Its inputs by name, each of the exact dtype and shape in `tensors`.

        Returns:
            Its outputs by name, arrays of the caller's own.

        Raises:
            EngineError: Unknown signature, or inputs of other names, dtypes or shapes.
        """
        if signature not in self.signatures:
            raise EngineError(
                f"{self.path.name}: no signature {signature!r}; it has {', '.join(self.signatures)}"
            )
        self._check(signature, arrays)
        return self._call(signature, {name: np.ascontiguousarray(array) for name, array in arrays.items()})

    def _check(self, signature: str, arrays: Arrays) -> None:
        names = self.signatures[signature].inputs
        if arrays.keys() != set(names):
            given = ", ".join(arrays) or "nothing"
            raise EngineError(f"{self.path.name}: {signature} takes {', '.join(names)}, not {given}")
        for name in names:
            spec, array = self.tensors[signature][name], arrays[name]
            if not isinstance(array, np.ndarray) or not fits(spec, array.dtype.name, array.shape):
                found = describe(array) if isinstance(array, np.ndarray) else type(array).__name__
                raise EngineError(
                    f"{self.path.name}: {signature}: {name} must be {describe(spec)}, not {found}"
                )

    @abstractmethod
    def _call(self, signature: str, arrays: Arrays) -> dict[str, np.ndarray]: ...


class TfliteModel(Model):
    """A .tflite file: each of its signatures."""

    def __init__(self, path: Path, threads: int) -> None:
        self.path = path
        litert = import_engine("tflite")
        try:
            interpreter = litert.Interpreter(model_path=str(path), num_threads=threads)
            self._runners = {
                name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()
            }
        except (ValueError, RuntimeError) as error:
            raise EngineError(f"{path}: LiteRT cannot open it: {_first_line(error)}") from error
        if not self._runners:
            raise EngineError(f"{path}: the model has no signatures")
        self.signatures, self.tensors = {}, {}
        for name, runner in self._runners.items():
            inputs, outputs = runner.get_input_details(), runner.get_output_details()
            self.signatures[name] = Signature(tuple(inputs), tuple(outputs))
            self.tensors[name] = {
                tensor: TensorSpec(np.dtype(details["dtype"]).name, tuple(map(int, details["shape"])))
                for tensor, details in (inputs | outputs).items()
            }

    def _call(self, signature: str, arrays: Arrays) -> dict[str, np.ndarray]:
        return self._runners[signature](**arrays)


class OnnxModel(Model):
    """An .onnx file: one signature, named as the public one with its tensors, else "main"."""

    def __init__(self, path: Path, threads: int) -> None:
        self.path = path
        onnxruntime = import_engine("onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only: nothing prints from a library
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exception classes share no public base
            raise EngineError(f"{path}: ONNX Runtime cannot open it: {_first_line(error)}") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        own = Signature(tuple(node.name for node in inputs), tuple(node.name for node in outputs))
        known = (*SIGNATURES.items(), *signatures(masks=True).items())
        name = next((name for name, public in known if _same_names(own, public)), "main")
        self.signatures = {name: own}
        self.tensors = {name: {node.name: _onnx_spec(node) for node in (*inputs, *outputs)}}

    def _call(self, signature: str, arrays: Arrays) -> dict[str, np.ndarray]:
        names = self.signatures[signature].outputs
        return dict(zip(names, self._session.run(list(names), dict(arrays)), strict=True))


_KINDS: dict[str, type[Model]] = {".tflite": TfliteModel, ".onnx": OnnxModel}


def open_model(path: str | os.PathLike, threads: int = 1) -> Model:
    """Opens one .tflite or .onnx file.

    Raises:
        EngineError: Another suffix, no such file, a damaged one, a missing engine, or a bad thread count.
    """
    path = Path(path)
    if not isinstance(threads, int) or threads < 1:
        raise EngineError(f"threads must be a positive integer, not {threads!r}")
    if path.suffix not in _KINDS:
        raise EngineError(f"{path}: not a model: the name must end in {' or '.join(_KINDS)}")
    if not path.is_file():
        raise EngineError(f"{path}: no such model file")
    return _KINDS[path.suffix](path, threads)


class Engine:
    """The models of one engine and precision, each opened when it is first needed.

    `encode` runs a file of its own where there is one (ONNX), else vision, text and fuse one after another.

    Args:
        paths: Signature -> model file; several signatures may share one file.
        threads: Threads that a run may use.
        tensors: The public tensors that every model is checked against when it is opened; None = no check.
    """

    def __init__(
        self, paths: Mapping[str, Path], threads: int = 1, tensors: Mapping[str, TensorSpec] | None = None
    ) -> None:
        self._paths, self._threads, self._tensors = dict(paths), threads, tensors
        self._models: dict[Path, Model] = {}

    def open(self, *signatures: str) -> None:
        """Opens the models of these signatures now.

        Raises:
            EngineError: A model cannot be opened, or its tensors are not the public ones.
        """
        for signature in signatures:
            self._model(signature)

    def run(self, signature: str, arrays: Arrays) -> dict[str, np.ndarray]:
        """Runs a signature; see `Model.run`."""
        if signature == "encode" and "encode" not in self._paths:
            return self.compose(arrays)
        return self._model(signature).run(signature, arrays)

    def compose(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Runs `encode` as vision, text and fuse, whatever files there are."""
        names = SIGNATURES["encode"].inputs
        if arrays.keys() != set(names):
            raise EngineError(f"encode takes {', '.join(names)}, not {', '.join(arrays) or 'nothing'}")
        known = dict(arrays)
        for part in PARTS:
            known |= self.run(part, {name: known[name] for name in SIGNATURES[part].inputs})
        return {"embedding": known["embedding"]}

    def _model(self, signature: str) -> Model:
        if signature not in self._paths:
            raise EngineError(f"no model for signature {signature!r}; there are {', '.join(self._paths)}")
        path = self._paths[signature]
        if path not in self._models:
            model = open_model(path, self._threads)
            for other in (name for name, file in self._paths.items() if file == path and self._tensors):
                _check_public(model, other, self._tensors)
            self._models[path] = model
        return self._models[path]


def open_engine(bundle: Bundle, engine: str = "tflite", precision: str = "int8", threads: int = 1) -> Engine:
    """Opens a bundle's models for vision, text and fuse, after checking the files.

    Args:
        bundle: The bundle.
        engine: "tflite" or "onnx".
        precision: "int8" or "fp32".
        threads: Threads that a run may use.

    Raises:
        BundleError: Unknown engine or precision, no such files in the bundle, or an altered one.
        EngineError: The engine is not installed, or a file's tensors are not the manifest's.
    """
    chosen = select_files(bundle.files, engine, precision)
    opened = Engine({key: bundle.file(name) for key, name in chosen.items()}, threads, bundle.tensors)
    opened.open(*PARTS)
    return opened


def import_engine(engine: str) -> ModuleType:
    """The engine's Python module.

    Raises:
        EngineError: It is not installed; names the command that installs it.
    """
    module, title, command = _PACKAGES[engine]
    try:
        return importlib.import_module(module)
    except ImportError:
        raise EngineError(f"engine {engine!r} needs {title}, which is not installed: {command}") from None


def fits(spec: TensorSpec, dtype: str, shape: tuple[int, ...]) -> bool:
    """Whether a dtype and shape are what a spec asks for."""
    same = len(shape) == len(spec.shape) and all(
        a in (b, _ANY) for a, b in zip(spec.shape, shape, strict=True)
    )
    return same and dtype == spec.dtype


def describe(tensor: Any) -> str:
    """A spec or an array as "float32 [1, 256]"."""
    sizes = ", ".join("any" if size == _ANY else str(size) for size in tensor.shape)
    return f"{tensor.dtype} [{sizes}]"


def _check_public(model: Model, signature: str, tensors: Mapping[str, TensorSpec]) -> None:
    public = signatures(masks=REGION_MASKS in tensors)[signature]
    own = model.signatures.get(signature)
    if own is None or not _same_names(own, public):
        raise EngineError(
            f"{model.path}: signature {signature} must be ({', '.join(public.inputs)}) -> "
            f"({', '.join(public.outputs)}); export the bundle again"
        )
    for name in (*public.inputs, *public.outputs):
        spec = model.tensors[signature][name]
        if not fits(spec, *tensors[name]):
            raise EngineError(
                f"{model.path}: {signature}: {name} is {describe(spec)}, the manifest says "
                f"{describe(tensors[name])}; export the bundle again"
            )


def _same_names(one: Signature, other: Signature) -> bool:
    return set(one.inputs) == set(other.inputs) and set(one.outputs) == set(other.outputs)


def _onnx_spec(node: Any) -> TensorSpec:
    dtype = node.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(size if isinstance(size, int) else _ANY for size in node.shape)
    return TensorSpec(_ONNX_DTYPES.get(dtype, dtype), shape)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
