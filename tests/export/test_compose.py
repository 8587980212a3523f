"""The whole as one ONNX file: made of the parts, and nothing but them."""

import numpy as np
import onnx
import onnxruntime
import pytest

from export.convert.onnx import compose
from runtime.bundle import PARTS, SIGNATURES
from tests.runtime.conftest import TINY


@pytest.mark.parametrize("suffix", ["", "_fp32"])
def test_the_whole_computes_what_the_parts_do_and_names_each_operator_set_once(tmp_path, suffix):
    parts = {part: TINY / f"{part}{suffix}.onnx" for part in PARTS}
    path = tmp_path / "encoder.onnx"
    compose(parts, path)
    whole = onnx.load(path)
    onnx.checker.check_model(whole, full_check=True)
    versions = {
        (entry.domain, entry.version) for part in parts.values() for entry in onnx.load(part).opset_import
    }
    assert sorted((entry.domain, entry.version) for entry in whole.opset_import) == sorted(versions)
    assert [tensor.name for tensor in whole.graph.input] == list(SIGNATURES["encode"].inputs)
    with np.load(TINY / "golden.npz") as golden:
        known = {name: golden[name][:1] for name in SIGNATURES["encode"].inputs}
    [embedding] = onnxruntime.InferenceSession(path).run(None, known)
    for part, (inputs, outputs) in SIGNATURES.items():
        if part in parts:
            session = onnxruntime.InferenceSession(parts[part])
            known |= dict(
                zip(outputs, session.run(None, {name: known[name] for name in inputs}), strict=True)
            )
    assert np.array_equal(embedding, known["embedding"])
