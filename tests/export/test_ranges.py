"""Ranges of activations: against sorted values, and against the calibrators of the quantizers themselves."""

from types import SimpleNamespace

import numpy as np
import pytest
from ai_edge_quantizer.calibrator import Calibrator
from ai_edge_quantizer.utils import qsv_utils
from onnxruntime.quantization.calibrate import MinMaxCalibrater

from export.quantize.ranges import LEFT_OUT, Activation, onnx_activations, tail_ranges, tflite_activations
from export.quantize.recipe import load_recipe
from export.quantize.tflite import _engine, operators, without_unmatched_rules
from runtime.bundle import PARTS, SIGNATURES, Bundle
from runtime.parity import load_golden
from tests.runtime.conftest import TINY


@pytest.fixture(scope="module")
def samples():
    golden = load_golden(TINY / "golden.npz", Bundle.load(TINY).tensors)
    return {
        part: [
            {name: golden[name][row : row + 1] for name in SIGNATURES[part].inputs}
            for row in range(len(golden["image"]))
        ]
        for part in PARTS
    }


@pytest.mark.parametrize("left_out", [0.0, 1e-3, 0.02, 0.3])
def test_as_many_values_are_outside_a_range_as_are_to_be_left_out(left_out):
    random = np.random.default_rng(0)
    values = random.standard_t(2, (20, 3, 500)).astype(np.float32)
    ranges = tail_ranges((Activation("x", sample, len(values), False) for sample in values), left_out)
    (low, high), every = ranges["x"], np.sort(values.ravel())
    count = int(left_out * every.size)
    assert (low, high) == (every[count], every[every.size - 1 - count])


def test_the_widest_ranges_of_a_tflite_are_those_of_the_quantizers_calibrator(samples):
    source = TINY / "encoder_fp32.tflite"
    engine = _engine(source, without_unmatched_rules(load_recipe("any").tflite, operators(source)))
    collector = Calibrator(str(source), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    collector.calibrate(samples, engine._recipe_manager)
    theirs = {name: entry for name, entry in collector.get_model_qsvs().items() if "min" in entry}
    own = tail_ranges(tflite_activations(source, samples), LEFT_OUT["min_max"])
    compared = [name for name in theirs if name in own]
    assert len(compared) >= 6
    for name in compared:
        bounds = float(theirs[name]["min"].min()), float(theirs[name]["max"].max())
        assert own[name] == pytest.approx(bounds, abs=1e-6), name


def test_a_percentile_leaves_inputs_whole_and_narrows_what_is_computed(samples):
    source = TINY / "encoder_fp32.tflite"
    widest, narrow = (tail_ranges(tflite_activations(source, samples), share) for share in (0.0, 0.05))
    assert widest.keys() == narrow.keys()
    given = ("fuse_screen_tokens", "fuse_text_token", "fuse_user")
    assert all(widest[name] == narrow[name] for name in given)
    narrower = [name for name in widest if narrow[name][1] < widest[name][1]]
    assert len(narrower) > len(widest) / 2


def test_the_widest_ranges_of_onnx_are_those_of_onnxruntimes_calibrator(samples, tmp_path):
    source, kinds = TINY / "fuse_fp32.onnx", ["MatMul", "Gemm"]
    own = tail_ranges(onnx_activations(source, kinds, samples["fuse"]), LEFT_OUT["min_max"])
    calibrator = MinMaxCalibrater(str(source), kinds, str(tmp_path / "augmented.onnx"))
    calibrator.augment_graph()
    calibrator.create_inference_session()
    rows = iter(samples["fuse"])
    calibrator.collect_data(SimpleNamespace(get_next=lambda: next(rows, None)))
    theirs = calibrator.compute_data()
    assert set(theirs.keys()) == set(own)
    for name, bounds in own.items():
        found = theirs[name].range_value
        assert bounds == pytest.approx(tuple(np.ravel(found)), abs=1e-6), name
