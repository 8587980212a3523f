"""Ways to take ranges: each does what it says, to the encoder or to the file, and leaves the rest alone."""

import copy

import numpy as np
import pytest
import torch
from ai_edge_litert.tools import flatbuffer_utils

from benchmarks.ranges.command import ranges_table
from benchmarks.ranges.measure import Way
from benchmarks.ranges.methods import _channel_means, correct_biases, equalize, least_squared_error
from encoder.config import EncoderConfig
from encoder.model import build
from evaluation.quality.metrics import tail
from export.quantize.layers import walk
from export.quantize.ranges import tail_ranges, tflite_activations
from export.quantize.recipe import Rule, TfliteRecipe
from export.quantize.tflite import quantize_tflite
from runtime.bundle import PARTS, SIGNATURES, Bundle
from runtime.parity import load_golden
from tests.runtime.conftest import TINY

SOURCE = TINY / "encoder_fp32.tflite"
RECIPE = TfliteRecipe("fp32", "min_max", (Rule(".*", ("FULLY_CONNECTED",), "static_int8"),))


@pytest.fixture(scope="module")
def samples():
    golden = load_golden(TINY / "golden.npz", Bundle.load(TINY).tensors)
    rows = range(len(golden["image"]))
    return {
        part: [{name: golden[name][row : row + 1] for name in SIGNATURES[part].inputs} for row in rows]
        for part in PARTS
    }


def test_equalizing_changes_no_output_and_evens_channels_out():
    config = EncoderConfig(image_size=(64, 64))
    encoder = build(config)
    images = [np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8) for seed in range(3)]
    with torch.no_grad():
        _first_norm(encoder).weight[3] *= 50  # a channel that sticks out
    before = copy.deepcopy(encoder)
    equalize(encoder, images)
    pixels = torch.from_numpy(np.stack(images))
    with torch.no_grad():
        found, exact = encoder.encode_screen(pixels), before.encode_screen(pixels)
    torch.testing.assert_close(found, exact, atol=1e-4, rtol=1e-4)
    weights = [_first_norm(one).weight.detach().abs() for one in (before, encoder)]
    sticks_out = [float(weight.max() / weight.median()) for weight in weights]
    assert sticks_out[1] < sticks_out[0] / 4


def _first_norm(encoder):
    return next(m.norm1 for m in encoder.modules() if hasattr(m, "norm1") and hasattr(m, "attn"))


def test_the_least_squared_error_is_that_of_a_percentile(samples):
    found = least_squared_error(SOURCE, samples)
    widest = tail_ranges(tflite_activations(SOURCE, samples), 0.0)
    assert found.keys() == widest.keys()
    assert all(widest[name][0] <= low and high <= widest[name][1] for name, (low, high) in found.items())


def test_biases_that_are_off_are_corrected(samples, tmp_path):
    path = tmp_path / "encoder.tflite"
    quantize_tflite(SOURCE, RECIPE, samples, path)
    some = {part: rows[::4] for part, rows in samples.items()}
    exact = _channel_means(SOURCE, some)

    def errors() -> dict[str, float]:
        found = _channel_means(path, some)
        return {name: float(np.abs(found[name] - exact[name]).mean()) for name in exact if "Linear" in name}

    before = errors()
    model = flatbuffer_utils.read_model(str(path))
    _, _, _, layer, graph = next(
        row for row in walk(path) if row[0] == "vision" and row[1] == "FULLY_CONNECTED"
    )
    bias, name = graph.tensors[layer.inputs[2]], graph.tensors[layer.outputs[0]].name.decode()
    shift = np.int32(0.5 / bias.quantization.scale.mean())
    buffer = model.buffers[bias.buffer]
    shifted = np.frombuffer(bytes(buffer.data), np.int32) + shift
    buffer.data = np.frombuffer(shifted.tobytes(), np.uint8)
    path.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    assert errors()[name] > before[name] + 0.1
    correct_biases(SOURCE, path, samples)
    assert errors()[name] < before[name] + 0.01


def test_the_table_has_a_line_for_each_way():
    ends = {"unseen kit": tail(np.array([0.9, 0.95])), "own": tail(np.array([0.8, 0.9]))}
    table = ranges_table([Way("tflite", "min/max", ends), Way("onnx", "percentile", ends)])
    assert [row[0] for row in table.rows] == ["TFLite, min/max", "ONNX, percentile"]
    assert table.rows[0][1] == "0.900" and len(table.header) == len(table.rows[0]) == 7
