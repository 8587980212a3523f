"""The default bundle: complete, truthful, and the same encoder as in PyTorch."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter

from calibration_data.samples import read_samples
from encoder import EncoderConfig
from encoder.weights import load_encoder
from export.calibration import DEFAULT_FOLDER, SPLITS, unknown_warning
from export.quantize.tflite import walk
from export.steps.files import MODEL_FILES
from runtime.bundle import SIGNATURES, Bundle
from runtime.provenance import Weights
from tests.runtime.make_tokenizer_cases import reference

FILES = {*MODEL_FILES, "golden.npz", "plan.json", "report.html", "vocab.txt"}


@pytest.fixture(scope="module")
def bundle(bundle_dir) -> Bundle:
    return Bundle.load(bundle_dir, verify=True)


@pytest.fixture(scope="module")
def golden(bundle_dir):
    with np.load(bundle_dir / "golden.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def test_the_bundle_holds_what_the_manifest_lists_and_nothing_else(bundle):
    assert set(bundle.files) == FILES
    assert {path.name for path in bundle.path.iterdir()} == FILES | {"manifest.json"}


def test_the_shipped_file_is_small(bundle):
    assert bundle.files["encoder.tflite"]["bytes"] < 6_000_000


@torch.no_grad()
def test_golden_vectors_are_pytorchs(bundle, golden):
    """Rebuilt here from the manifest's config and seed, and run one by one, not in the exporter's batches."""
    encoder, weights = load_encoder(EncoderConfig.from_dict(bundle.manifest["config"]))
    assert weights.sha256 == bundle.manifest["weights"]["sha256"]
    assert len(golden["image"]) == 32
    for row in (0, 17, 31):
        inputs = [
            torch.from_numpy(golden[name][row : row + 1])
            for name in ("image", "input_ids", "attention_mask", "user")
        ]
        embedding = encoder(*inputs)
        np.testing.assert_allclose(embedding, golden["embedding"][row : row + 1], atol=1e-5)


def test_every_engine_and_precision_passes_parity(bundle):
    rows = bundle.manifest["parity"]
    combinations = {(row["engine"], row["precision"]) for row in rows}
    assert combinations == {
        (engine, precision) for engine in ("tflite", "onnx") for precision in ("fp32", "int8")
    }
    assert all(row["passed"] and row["samples"] == 32 for row in rows)


@pytest.mark.parametrize("name", ["encoder.tflite", "encoder_fp32.tflite"])
def test_tflite_has_three_signatures_with_public_names(bundle, name):
    interpreter = Interpreter(str(bundle.path / name))
    found = interpreter.get_signature_list()
    assert set(found) == {"vision", "text", "fuse"}
    for signature, tensors in found.items():
        assert set(tensors["inputs"]) == set(SIGNATURES[signature].inputs)
        assert set(tensors["outputs"]) == set(SIGNATURES[signature].outputs)
        details = interpreter.get_signature_runner(signature).get_input_details()
        for tensor, detail in details.items():
            assert (detail["dtype"].__name__, tuple(detail["shape"])) == bundle.tensors[tensor]


@pytest.mark.parametrize("name", [name for name in sorted(MODEL_FILES) if name.endswith(".onnx")])
def test_onnx_has_public_names_and_no_stray_metadata(bundle, name):
    session = onnxruntime.InferenceSession(bundle.path / name)
    (signature,) = bundle.files[name]["signatures"]
    assert [tensor.name for tensor in session.get_inputs()] == list(SIGNATURES[signature].inputs)
    assert [tensor.name for tensor in session.get_outputs()] == list(SIGNATURES[signature].outputs)
    for tensor in session.get_inputs():
        longest = tuple(bundle.text_max_length if size == "length" else size for size in tensor.shape)
        assert longest == bundle.tensors[tensor.name].shape
    text = (bundle.path / name).read_bytes()
    assert b"site-packages" not in text and b".py" not in text, "a machine's paths are inside the file"
    assert not any(node.op_type == "BatchNormalization" for node in onnx.load(bundle.path / name).graph.node)


def test_the_manifest_tells_what_the_vocabulary_does_not_know(bundle):
    """By transformers' own tokenizer; nearly half of what is typed in Chinese, and the export says so."""
    tokenizer, counts = reference(), {}
    for sample in read_samples(DEFAULT_FOLDER, splits=SPLITS, user_embed_dim=64):
        ids = tokenizer(sample.text)["input_ids"][1:-1]
        unknown, total = counts.get(sample.language, (0, 0))
        counts[sample.language] = unknown + ids.count(tokenizer.unk_token_id), total + len(ids)
    shares = bundle.manifest["tokenizer"]["unknown_shares"]
    assert shares == pytest.approx({name: a / b for name, (a, b) in counts.items()}, abs=1e-4)
    warning = unknown_warning(bundle.manifest["tokenizer"])
    assert (
        f"zh {shares['zh']:.0%}" in warning
        and "byte_bpe" in warning
        and "en" not in warning.split(":")[1][:9]
    )
    assert warning in (bundle.path / "report.html").read_text()
    assert unknown_warning({"type": "wordpiece", "unknown_shares": {"en": 0.1, "": 0.0}}) == ""


def test_the_plan_lists_the_precision_of_every_layer(bundle):
    plan = json.loads((bundle.path / "plan.json").read_text())
    rows = {(row["layer"], row["operator"]): row["precision"] for row in plan["layers"]}
    assert rows["backbone.features.stem.conv", "CONV_2D"] == "static_int8"
    tables = {
        row["layer"]: row["precision"] for row in plan["layers"] if row["operator"] == "EMBEDDING_LOOKUP"
    }
    assert tables == {"text.words": "packed_int4", "text": "float"}  # the latter of positions
    linear = [row for row in plan["layers"] if row["operator"] == "FULLY_CONNECTED"]
    dynamic = {row["layer"] for row in linear if row["precision"] == "dynamic_int8"}
    assert dynamic == {"text.1.mixed", "text.1.output"}  # of the last text layer, which computes one token
    assert {row["precision"] for row in linear} == {"static_int8", "dynamic_int8"}
    assert {row["precision"] for row in plan["layers"] if row["operator"] == "SOFTMAX"} == {"float"}
    assert len(plan["layers"]) > 300


def test_fp16_arithmetic_travels_inside_the_shipped_file(bundle):
    content = (bundle.path / "encoder.tflite").read_bytes()
    assert b"reduced_precision_support" in content and b"fp16accfp16" in content


def test_blocks_that_are_off_are_left_out_and_no_other(bundle):
    """Seven bottlenecks have a depthwise convolution and two of 1x1 each; random weights leave none out either."""
    random = Weights.from_dict(bundle.manifest["weights"]).random
    off = 0 if random else 3
    kinds = [kind for part, kind, *_ in walk(bundle.path / "encoder_fp32.tflite") if part == "vision"]
    assert kinds.count("DEPTHWISE_CONV_2D") == 7 - off and kinds.count("CONV_2D") == 28 - 2 * off


def test_random_weights_are_said_loudly(bundle):
    report = (bundle.path / "report.html").read_text()
    weights = Weights.from_dict(bundle.manifest["weights"])
    assert weights.summary in report and bool(weights.random) == ("RANDOM WEIGHTS" in report)
    assert "http://" not in report and "https://" not in report, "the report must open without a network"


def test_every_budget_is_measured(bundle):
    budgets = {budget["name"]: budget for budget in bundle.manifest["budgets"]}
    assert budgets["parameters"]["value"] == bundle.manifest["parameters"]["total"]
    assert budgets["parameters"]["pass"] and budgets["encoder.tflite on disk"]["pass"]
    assert 3_000_000 < budgets["encoder.tflite private memory"]["value"] < 10_000_000
    unknown = {name for name, budget in budgets.items() if budget["value"] is None}
    assert unknown <= ({"latency of encode"} if "arm64" not in bundle.manifest else set())
