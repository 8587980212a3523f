"""The two engines inside of the emulator: a run that copies in and out, and a bare call to count."""

from __future__ import annotations

import functools


class TfliteModel:
    """A .tflite file in LiteRT, one thread, its default XNNPACK delegate."""

    def __init__(self, path: str) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=path, num_threads=1)
        self._interpreter.allocate_tensors()
        names = self._interpreter.get_signature_list()
        self._runners = {name: self._interpreter.get_signature_runner(name) for name in names}
        self.inputs = {name: list(entry["inputs"]) for name, entry in names.items()}

    def is_open(self, signature: str) -> bool:
        """Whether its inputs may have another length."""
        details = self._runners[signature].get_input_details().values()
        return any(-1 in entry["shape_signature"] for entry in details)

    def run(self, signature: str, arrays: dict) -> dict:
        """Infers; returns the outputs by name."""
        return self._runners[signature](**arrays)

    def prepared(self, signature: str):
        """Returns a function and its argument that infer again on the last inputs, without copies.

        It is the native method under the signature runner, whose own work would be a tenth of a small one.
        """
        native = self._interpreter._interpreter
        return native.Invoke, native.GetSubgraphIndexFromSignature(signature)


class OnnxModel:
    """An .onnx file in ONNX Runtime, one thread. Its signature is named by whoever asks."""

    def __init__(self, path: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [node.name for node in self._session.get_inputs()]
        self.inputs = _SameForEvery(names)
        self._names = [node.name for node in self._session.get_outputs()]
        self._binding = None

    def is_open(self, signature: str) -> bool:
        """Whether its inputs may have another length."""
        return any(isinstance(size, str) for node in self._session.get_inputs() for size in node.shape)

    def run(self, signature: str, arrays: dict) -> dict:
        """Infers; returns the outputs by name."""
        self._binding = self._session.io_binding()
        for name, array in arrays.items():
            self._binding.bind_cpu_input(name, array)
        for name in self._names:
            self._binding.bind_output(name)
        self._session.run_with_iobinding(self._binding)
        return dict(zip(self._names, self._binding.copy_outputs_to_cpu(), strict=True))

    def prepared(self, signature: str):
        """Returns a function and its argument that infer again on the last inputs, which stay bound."""
        return functools.partial(self._session._sess.run_with_iobinding, self._binding._iobinding), None


class _SameForEvery(dict):
    def __init__(self, value) -> None:
        self._value = value

    def __missing__(self, key):
        return self._value


def open_model(path: str):
    """Opens a .tflite or .onnx file."""
    return (TfliteModel if path.endswith(".tflite") else OnnxModel)(path)
