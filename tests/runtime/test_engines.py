"""Both engines behind one interface, and inputs that would have crashed them."""

import sys

import numpy as np
import pytest

from runtime.bundle import ENGINES, PRECISIONS, SIGNATURES, Bundle
from runtime.engines import Engine, EngineError, open_engine, open_model
from runtime.parity import load_golden

FILES = {"tflite": "encoder_fp32.tflite", "onnx": "vision_fp32.onnx"}


@pytest.fixture
def golden(tiny):
    return load_golden(tiny / "golden.npz", Bundle.load(tiny).tensors)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_signature_gives_what_pytorch_gave(tiny, golden, engine, precision):
    opened = open_engine(Bundle.load(tiny), engine, precision)
    tolerance = 1e-5 if precision == "fp32" else 0.5
    for signature, public in SIGNATURES.items():
        outputs = opened.run(signature, {name: golden[name][:1] for name in public.inputs})
        assert outputs.keys() == set(public.outputs)
        for name, values in outputs.items():
            assert values.dtype == np.float32
            np.testing.assert_allclose(values, golden[name][:1], atol=tolerance)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_parts_compose_to_the_whole(tiny, golden, engine):
    opened = open_engine(Bundle.load(tiny), engine, "fp32", threads=2)
    arrays = {name: golden[name][1:2] for name in SIGNATURES["encode"].inputs}
    composed = opened.compose(arrays)["embedding"]
    np.testing.assert_allclose(composed, opened.run("encode", arrays)["embedding"], atol=1e-6)
    with pytest.raises(EngineError, match="encode takes image, input_ids, attention_mask, user"):
        opened.compose({})


@pytest.mark.parametrize("engine", ENGINES)
def test_an_opened_file_tells_its_tensors(tiny, engine):
    model = open_model(tiny / FILES[engine])
    assert model.signatures["vision"] == SIGNATURES["vision"]
    assert model.tensors["vision"]["image"] == ("uint8", (1, 256, 128, 3))
    assert model.tensors["vision"]["screen_tokens"] == ("float32", (1, 5, 256))


IMAGE = np.zeros((1, 256, 128, 3), np.uint8)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"image": np.zeros((1, 128, 128, 3), np.uint8)},
            r"image must be uint8 \[1, 256, 128, 3\], not uint8 \[1, 128",
        ),
        ({"image": np.zeros((2, 256, 128, 3), np.uint8)}, "image must be"),
        ({"image": np.zeros((256, 128, 3), np.uint8)}, "image must be"),
        ({"image": IMAGE.astype(np.float32)}, "not float32"),
        ({"image": IMAGE.tolist()}, "not list"),
        ({"picture": IMAGE}, "vision takes image, not picture"),
        ({"image": IMAGE, "user": IMAGE}, "vision takes image, not image, user"),
        ({}, "vision takes image, not nothing"),
    ],
)
def test_other_inputs_are_refused_before_the_engine_sees_them(tiny, engine, arrays, message):
    model = open_model(tiny / FILES[engine])
    with pytest.raises(EngineError, match=message):
        model.run("vision", arrays)
    assert model.run("vision", {"image": IMAGE})["screen_tokens"].shape == (1, 5, 256)  # and it lives on


@pytest.mark.parametrize("engine", ENGINES)
def test_inputs_need_not_be_contiguous_and_outputs_are_the_callers_own(tiny, golden, engine):
    model = open_model(tiny / FILES[engine])
    first = model.run("vision", {"image": np.asfortranarray(golden["image"][:1])})["screen_tokens"]
    kept = first.copy()
    model.run("vision", {"image": golden["image"][1:2]})
    assert np.array_equal(first, kept)
    np.testing.assert_allclose(first, golden["screen_tokens"][:1], atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_unknown_signature(tiny, engine):
    with pytest.raises(EngineError, match="no signature 'rank'; it has"):
        open_model(tiny / FILES[engine]).run("rank", {})
    with pytest.raises(EngineError, match="no model for signature 'rank'"):
        open_engine(Bundle.load(tiny), engine).run("rank", {})


@pytest.mark.parametrize(
    ("engine", "command"), [("tflite", "pip install ai-edge-litert"), ("onnx", "pip install onnxruntime")]
)
def test_a_missing_engine_names_the_command_that_installs_it(tiny, monkeypatch, engine, command):
    for module in ("ai_edge_litert", "ai_edge_litert.interpreter", "onnxruntime"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EngineError, match=command):
        open_model(tiny / FILES[engine])


@pytest.mark.parametrize("name", FILES.values())
@pytest.mark.parametrize("content", [b"", b"not a model" * 100])
def test_a_damaged_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EngineError, match="cannot open it") as caught:
        open_model(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_no_model_at_all(tiny, tmp_path):
    with pytest.raises(EngineError, match="no such model file"):
        open_model(tmp_path / "none.tflite")
    with pytest.raises(EngineError, match=r"must end in \.tflite or \.onnx"):
        open_model(tiny / "vocab.txt")
    for threads in (0, -1, 1.5):
        with pytest.raises(EngineError, match="threads must be a positive integer"):
            open_model(tiny / FILES["onnx"], threads)


def test_a_file_in_another_ones_place_is_refused_when_it_is_opened(tiny):
    tensors = Bundle.load(tiny).tensors
    with pytest.raises(EngineError, match=r"signature vision must be \(image\) -> \(screen_tokens\)"):
        Engine({"vision": tiny / "fuse.onnx"}, tensors=tensors).open("vision")
    narrow = tensors | {"image": tensors["image"]._replace(shape=(1, 128, 128, 3))}
    for name in FILES.values():
        with pytest.raises(EngineError, match="the manifest says uint8"):
            Engine({"vision": tiny / name}, tensors=narrow).open("vision")
