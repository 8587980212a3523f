"""What is done to the quantized .tflite after the quantizer: packed embeddings, no tensor names, bytes in place of floats."""

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from encoder import EncoderConfig
from encoder.weights import load_encoder
from export.quantize.layers import walk
from export.quantize.packed_embeddings import pack, pack_lookups, unpack
from export.quantize.tensor_names import strip_tensor_names, with_tensor_names
from runtime.bundle import Bundle

SCHEMA = flatbuffer_utils.schema_fb


@pytest.fixture(scope="module")
def bundle(bundle_dir) -> Bundle:
    return Bundle.load(bundle_dir)


@pytest.fixture(scope="module")
def golden(bundle_dir):
    with np.load(bundle_dir / "golden.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def _run(content: bytes, signature: str, **arrays) -> np.ndarray:
    runner = Interpreter(model_content=content).get_signature_runner(signature)
    return np.concatenate([
        next(iter(runner(**{name: array[row : row + 1] for name, array in arrays.items()}).values()))
        for row in range(len(next(iter(arrays.values()))))
    ])  # fmt: skip


@pytest.mark.parametrize(("bits", "levels", "widths"), [(4, 7, [32]), (6, 29, [32, 16])])
def test_packing_rounds_to_the_nearest_level(bits, levels, widths):
    table = np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32)
    table[3] = 0
    table[4, 1:] = 0
    packed, scale = pack(table, bits)
    assert [(part.dtype, part.shape) for part in packed] == [(np.int8, (500, width)) for width in widths]
    assert scale.shape == (500, 1)
    found = unpack(packed, scale)
    assert (np.abs(found - table) <= scale / 2 * (1 + 1e-4)).all()
    np.testing.assert_allclose(np.abs(np.rint(found[4:] / scale[4:])).max(axis=1), levels)
    assert not found[3].any() and found[4, 0] == pytest.approx(table[4, 0])


def test_a_table_of_odd_width_is_refused():
    with pytest.raises(ValueError, match=r"5 columns .* multiple of 2"):
        pack(np.ones((3, 5), np.float32))
    with pytest.raises(ValueError, match=r"6 columns .* multiple of 4"):
        pack(np.ones((3, 6), np.float32), 6)


@torch.no_grad()
@pytest.mark.parametrize("bits", [4, 6])
def test_a_packed_lookup_gives_the_text_tower_its_quantized_embeddings(bundle, golden, bits):
    """Against PyTorch with the same embeddings quantized, through LiteRT, nothing else quantized."""
    model = flatbuffer_utils.read_model(str(bundle.path / "encoder_fp32.tflite"))
    assert pack_lookups(model, SCHEMA, "Embedding_words", bits) == 1
    content = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    inputs = {name: golden[name][:6] for name in ("input_ids", "attention_mask")}
    encoder, _ = load_encoder(EncoderConfig.from_dict(bundle.manifest["config"]))
    words = encoder.text.bert.embeddings.word_embeddings.weight
    words.copy_(torch.from_numpy(unpack(*pack(words.numpy(), bits))))
    expected = encoder.encode_text(*(torch.from_numpy(array) for array in inputs.values()))
    np.testing.assert_allclose(_run(content, "text", **inputs), expected, atol=1e-4)


def test_lookups_that_the_recipe_does_not_name_stay(bundle):
    model = flatbuffer_utils.read_model(str(bundle.path / "encoder_fp32.tflite"))
    assert pack_lookups(model, SCHEMA, "no such layer") == 0


def test_the_shipped_file_carries_no_module_paths_and_gets_them_back(bundle, golden):
    shipped, source = bundle.path / "encoder.tflite", bundle.path / "encoder_fp32.tflite"
    assert b"torch.nn" not in shipped.read_bytes() and b"encoder." not in shipped.read_bytes()
    named = with_tensor_names(shipped, source)
    names = {layer for *_, layer, _, _ in walk(source)}
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(named))
    kept = {
        tensor.name.decode() + ";" for graph in model.subgraphs for tensor in graph.tensors if tensor.name
    }
    assert len(names & kept) > 0.6 * len(names)
    image = golden["image"][:2]
    np.testing.assert_array_equal(
        _run(named, "vision", image=image), _run(shipped.read_bytes(), "vision", image=image)
    )


def test_names_can_be_kept(bundle, tmp_path):
    shipped, source = bundle.path / "encoder.tflite", bundle.path / "encoder_fp32.tflite"
    path = tmp_path / "named.tflite"
    path.write_bytes(with_tensor_names(shipped, source))
    strip_tensor_names(path, source, keep=True)
    assert b"torch.nn" in path.read_bytes()
    strip_tensor_names(path, source)
    assert path.read_bytes() == shipped.read_bytes()


def test_what_is_written_once_reads_as_if_written_each_time(bundle, golden):
    shipped = (bundle.path / "encoder.tflite").read_bytes()
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(shipped))
    repeating = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    assert len(shipped) < 0.98 * len(repeating)
    image = golden["image"][:2]
    np.testing.assert_array_equal(
        _run(shipped, "vision", image=image), _run(repeating, "vision", image=image)
    )


def test_the_image_enters_as_bytes(bundle):
    vision = [
        (kind, node, graph)
        for part, kind, _, node, graph in walk(bundle.path / "encoder.tflite")
        if part == "vision"
    ]
    kind, node, graph = vision[0]
    image, numbers = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    assert kind == "QUANTIZE" and not any(kind == "CAST" for kind, *_ in vision)
    assert (image.type, numbers.type) == (SCHEMA.TensorType.UINT8, SCHEMA.TensorType.INT8)
    assert [float(image.quantization.scale[0]), int(image.quantization.zeroPoint[0])] == [1.0, 0]
    assert [float(numbers.quantization.scale[0]), int(numbers.quantization.zeroPoint[0])] == [1.0, -128]
