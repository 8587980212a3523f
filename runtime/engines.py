"""Opens .tflite files with LiteRT and .onnx files with ONNX Runtime behind one `run(signature, arrays)`."""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .bundle import Bundle, select_files
from .litert import LiteRtModel
from .litert_c import open_library, without_notices
from .model import ANY, Arrays, EngineError, Model, describe, fits
from .tensors import PARTS, REGION_MASKS, SIGNATURES, Signature, TensorSpec, signatures

_PACKAGES = {
    "tflite": ("ai_edge_litert", "LiteRT", "pip install ai-edge-litert"),
    "onnx": ("onnxruntime", "ONNX Runtime", "pip install onnxruntime"),
}
STEP = 8
"""Tokens by which a text's length grows: engines plan anew for each other length."""
_ONNX_DTYPES = {"float": "float32", "double": "float64"}


class InterpreterModel(Model):
    """A .tflite file in LiteRT's Python interpreter, for versions whose C interface is not known here."""

    def __init__(self, path: Path, threads: int, litert: ModuleType) -> None:
        self.path = path
        try:
            interpreter = litert.Interpreter(model_path=str(path), num_threads=threads)
            with without_notices():
                interpreter.allocate_tensors()
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
                tensor: TensorSpec(np.dtype(details["dtype"]).name, _shape(details))
                for tensor, details in (inputs | outputs).items()
            }

    def _call(self, signature: str, arrays: Arrays) -> dict[str, np.ndarray]:
        try:
            return self._runners[signature](**arrays)
        except RuntimeError as error:  # an input that is longer than the model takes, for one
            raise EngineError(f"{self.path.name}: {signature}: {_first_line(error)}") from error


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
        try:
            return dict(zip(names, self._session.run(list(names), dict(arrays)), strict=True))
        except Exception as error:  # its exception classes share no public base
            raise EngineError(f"{self.path.name}: {signature}: {_first_line(error)}") from error


def open_model(path: str | os.PathLike, threads: int = 1, weight_cache: Path | None = None) -> Model:
    """Opens one .tflite or .onnx file.

    Args:
        path: The file.
        threads: Threads that a run may use.
        weight_cache: Folder that keeps the packed weights of .tflite files (`weight_cache`);
            None = they stay in private memory.

    Raises:
        EngineError: Another suffix, no such file, a damaged one, a missing engine, or a bad thread count.
    """
    path = Path(path)
    if not isinstance(threads, int) or threads < 1:
        raise EngineError(f"threads must be a positive integer, not {threads!r}")
    if path.suffix not in (".tflite", ".onnx"):
        raise EngineError(f"{path}: not a model: the name must end in .tflite or .onnx")
    if not path.is_file():
        raise EngineError(f"{path}: no such model file")
    if path.suffix == ".onnx":
        return OnnxModel(path, threads)
    litert = import_engine("tflite")
    library = open_library(litert)
    if library is None:
        return InterpreterModel(path, threads, litert)
    return LiteRtModel(path, threads, library, weight_cache)


class Engine:
    """The models of one engine and precision, each opened when it is first needed.

    `encode` runs a file of its own where there is one (ONNX), else vision, text and fuse one after another.

    Args:
        paths: Signature -> model file; several signatures may share one file.
        threads: Threads that a run may use; also an attribute.
        tensors: The public tensors that every model is checked against when it is opened; None = no check.
        weight_cache: As for `open_model`.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        threads: int = 1,
        tensors: Mapping[str, TensorSpec] | None = None,
        weight_cache: Path | None = None,
    ) -> None:
        self.threads = threads
        self._paths, self._tensors = dict(paths), tensors
        self._weight_cache = weight_cache
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

    def text(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        """Runs `text` with no more padding than a multiple of eight tokens needs, where the model can.

        Args:
            input_ids, attention_mask: int32 [1, L] each, the padding at the end.

        Returns:
            The text token, float32 [1, 1, D].
        """
        arrays = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self._model("text").tensors["text"]["input_ids"].shape[1] == ANY:
            length = -(-int(attention_mask.sum()) // STEP) * STEP
            arrays = {name: array[:, :length] for name, array in arrays.items()}
        return self.run("text", arrays)["text_token"]

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
            model = open_model(path, self.threads, self._weight_cache)
            for other in (name for name, file in self._paths.items() if file == path and self._tensors):
                _check_public(model, other, self._tensors)
            self._models[path] = model
        return self._models[path]


def open_engine(
    bundle: Bundle,
    engine: str = "tflite",
    precision: str = "int8",
    threads: int = 1,
    weight_cache: Path | None = None,
) -> Engine:
    """Opens a bundle's models for vision, text and fuse, after checking the files.

    Args:
        bundle: The bundle.
        engine: "tflite" or "onnx".
        precision: "int8" or "fp32".
        threads: Threads that a run may use.
        weight_cache: As for `open_model`.

    Raises:
        BundleError: Unknown engine or precision, no such files in the bundle, or an altered one.
        EngineError: The engine is not installed, or a file's tensors are not the manifest's.
    """
    chosen = select_files(bundle.files, engine, precision)
    paths = {key: bundle.file(name) for key, name in chosen.items()}
    opened = Engine(paths, threads, bundle.tensors, weight_cache)
    opened.open(*PARTS)
    return opened


def import_engine(engine: str) -> ModuleType:
    """The engine's Python module, with all that opening a model needs already loaded.

    Raises:
        EngineError: It is not installed; names the command that installs it.
    """
    name, title, command = _PACKAGES[engine]
    try:
        module = importlib.import_module(name)
        if engine == "tflite" and open_library(module) is None:
            module = importlib.import_module(f"{name}.interpreter")
        return module
    except ImportError:
        raise EngineError(f"engine {engine!r} needs {title}, which is not installed: {command}") from None


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


def _shape(details: Mapping[str, Any]) -> tuple[int, ...]:
    """A tensor's sizes, ANY where the file leaves one open."""
    signature = details["shape_signature"]
    return tuple(map(int, signature if len(signature) else details["shape"]))


def _onnx_spec(node: Any) -> TensorSpec:
    dtype = node.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(size if isinstance(size, int) else ANY for size in node.shape)
    return TensorSpec(_ONNX_DTYPES.get(dtype, dtype), shape)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
