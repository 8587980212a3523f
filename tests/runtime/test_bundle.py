"""What makes a folder a bundle, and every way in which it is not one."""

import json
import random

import pytest

from runtime.bundle import SIGNATURES, Bundle, select_files, tensor_specs
from runtime.manifest import DIGEST, MANIFEST, BundleError, write_manifest
from tests.runtime.conftest import change_manifest

CONFIG = {"image_size": [256, 128], "text_max_length": 64, "user_embed_dim": 64, "text_projection_dim": 256}


def test_the_public_tensors():
    specs = tensor_specs(CONFIG | {"backbone": "any"})
    assert {name: (spec.dtype, spec.shape) for name, spec in specs.items()} == {
        "image": ("uint8", (1, 256, 128, 3)),
        "input_ids": ("int32", (1, 64)),
        "attention_mask": ("int32", (1, 64)),
        "user": ("float32", (1, 64)),
        "screen_tokens": ("float32", (1, 5, 256)),
        "text_token": ("float32", (1, 1, 256)),
        "embedding": ("float32", (1, 256)),
    }
    named = {name for signature in SIGNATURES.values() for name in (*signature.inputs, *signature.outputs)}
    assert named == specs.keys()


@pytest.mark.parametrize(
    "change", [{"image_size": [256]}, {"image_size": "256"}, {"user_embed_dim": 0}, {"text_max_length": True},
               {"text_projection_dim": None}, {"image_size": [256, 12.5]}, {"user_embed_dim": 16_385}, {"image_size": [256, 10**60]}],
)  # fmt: skip
def test_a_config_of_other_sizes_is_refused(change):
    with pytest.raises(BundleError, match=next(iter(change))):
        tensor_specs(CONFIG | change)


def test_a_bundle_tells_its_sizes_and_gives_its_files(tiny):
    bundle = Bundle.load(str(tiny), verify=True)
    assert bundle.image_size == (256, 128)
    assert bundle.text_max_length == 64
    assert bundle.vocab == tiny / "vocab.txt"
    with pytest.raises(BundleError, match="lists no file"):
        bundle.file("other.tflite")


def test_which_file_serves_what(tiny):
    files = Bundle.load(tiny).files
    assert select_files(files, "tflite", "int8") == dict.fromkeys(
        ("vision", "text", "fuse"), "encoder.tflite"
    )
    assert select_files(files, "onnx", "fp32") == {
        "vision": "vision_fp32.onnx", "text": "text_fp32.onnx", "fuse": "fuse_fp32.onnx", "encode": "encoder_fp32.onnx",
    }  # fmt: skip
    with pytest.raises(BundleError, match="unknown engine 'torch': choose one of tflite, onnx"):
        select_files(files, "torch", "int8")
    with pytest.raises(BundleError, match="unknown precision 'int4': choose one of int8, fp32"):
        select_files(files, "onnx", "int4")
    del files["fuse.onnx"]
    with pytest.raises(BundleError, match="no onnx int8 file for fuse"):
        select_files(files, "onnx", "int8")


def test_an_altered_file_is_named_when_it_is_used(copied):
    path = copied / "encoder.tflite"
    path.write_bytes(path.read_bytes() + b"\0")
    bundle = Bundle.load(copied)
    with pytest.raises(BundleError, match=r"encoder\.tflite: altered since its export: sha256"):
        bundle.file("encoder.tflite")
    with pytest.raises(BundleError, match="altered"):
        Bundle.load(copied, verify=True)


def test_a_missing_file_is_named_when_it_is_used(copied):
    (copied / "vocab.txt").unlink()
    with pytest.raises(BundleError, match=r"vocab\.txt: the bundle's file is missing"):
        _ = Bundle.load(copied).vocab


def test_no_folder_no_manifest_no_json(tmp_path):
    with pytest.raises(BundleError, match="no such bundle folder"):
        Bundle.load(tmp_path / "none")
    with pytest.raises(BundleError, match="not a bundle"):
        Bundle.load(tmp_path)
    for content, message in (
        ("{", "not valid JSON"),
        ("[]", "one JSON object"),
        ("\xff", "not UTF-8"),
        ("[" * 100_000, "JSON"),
    ):
        (tmp_path / MANIFEST).write_text(content, encoding="latin-1")
        with pytest.raises(BundleError, match=message):
            Bundle.load(tmp_path)


def set_key(*keys_and_value):
    """A change that sets a nested key of the manifest, or drops it where the value is None."""
    *keys, last, value = keys_and_value

    def change(manifest: dict) -> None:
        for key in keys:
            manifest = manifest[key]
        if value is None:
            del manifest[last]
        else:
            manifest[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_key("schema_version", 1), "schema_version 1 is unknown, this runtime reads 4; export again"),
        (set_key("schema_version", 5), "schema_version 5 is unknown"),
        (set_key("schema_version", 4.0), "schema_version 4.0 is unknown"),
        (set_key("schema_version", None), "schema_version None is unknown"),
        (set_key("schema_version", True), "schema_version True is unknown"),
        (set_key("schema_version", "4"), "schema_version '4' is unknown"),
        (set_key("schema_version", "y" * 30_000), "schema_version 'yyy"),
        (set_key("config", None), "'config' must be an object"),
        (set_key("config", "image_size", [0, 1]), "image_size"),
        (set_key("tensors", "image", "shape", [1, 128, 128, 3]), "tensor 'image' must be"),
        (set_key("tensors", "user", None), "tensor 'user' must be"),
        (set_key("signatures", "text", "inputs", ["input_ids"]), "signature 'text' must be"),
        (set_key("tokenizer", "type", "bpe"), "tokenizer type must be 'wordpiece'"),
        (set_key("tokenizer", "lowercase", False), "tokenizer lowercase"),
        (set_key("tokenizer", "max_length", 32), "tokenizer max_length"),
        (set_key("tokenizer", "truncation", "middle"), "tokenizer truncation must be left or right, not 'middle'"),
        (set_key("tokenizer", "truncation", None), "tokenizer truncation must be left or right, not None"),
        (set_key("tokenizer", "truncation", ["left"]), "tokenizer truncation must be"),
        (set_key("tokenizer", "vocab", "words.txt"), "vocab 'words.txt' is not among the files"),
        (set_key("tokenizer", "vocab", ["vocab.txt"]), "is not among the files"),
        (set_key("preprocessing", "image", "method", "bilinear"), "preprocessing image must be"),
        (set_key("preprocessing", "user", None), "preprocessing user must be"),
        (set_key("preprocessing", "user", "method", "clip"), "preprocessing user must be"),
        (set_key("preprocessing", "user", "max_norm", 0), "preprocessing user must be"),
        (set_key("preprocessing", "user", "max_norm", True), "preprocessing user must be"),
        (set_key("preprocessing", "user", "max_norm", "1.22"), "preprocessing user must be"),
        (set_key("preprocessing", "user", "max_norm", 10**400), "preprocessing user must be"),
        (set_key("files", "vocab.txt", {}), "'vocab.txt' has no sha256"),
        (set_key("files", "vocab.txt", "text"), "'vocab.txt' has no sha256"),
        (set_key("files", "vocab.txt", "bytes", None), "'vocab.txt' has no sha256, or no size"),
        (set_key("files", "vocab.txt", "engine", [5]), "engine and precision must be texts"),
        (set_key("files", "vocab.txt", "signatures", ["rank"]), "signatures must be some of"),
        *(
            (set_key("files", name, {"sha256": "0" * 64}), "must be a plain name inside")
            for name in ("../secret", "/etc/passwd", "sub/file", "..", ".", "", "a\\b", "y" * 300)
        ),
    ],
)  # fmt: skip
def test_a_manifest_that_this_runtime_cannot_trust(copied, change, message):
    change_manifest(copied, change)
    with pytest.raises(BundleError, match=message) as caught:
        Bundle.load(copied)
    assert str(copied / MANIFEST) in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < len(str(copied)) + 500


def test_any_flipped_bit_of_a_manifest_is_noticed(copied):
    path = copied / MANIFEST
    whole = path.read_bytes()
    chooser = random.Random(0)
    bits = [*range(8 * 120), *(chooser.randrange(8 * len(whole)) for _ in range(500))]  # all of its digest
    for bit in bits:
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        with pytest.raises(BundleError):
            Bundle.load(copied)
    path.write_bytes(whole)
    Bundle.load(copied)


def test_a_manifest_is_not_what_another_tool_made_of_it(copied):
    """Same keys and values, but not the bytes that the digest was taken of."""
    path = copied / MANIFEST
    manifest = json.loads(path.read_text())
    last = {key: value for key, value in manifest.items() if key != DIGEST} | {DIGEST: manifest[DIGEST]}
    for text in (
        json.dumps(manifest),
        json.dumps(last, indent=1),
        json.dumps(manifest, indent=1).upper(),
        "\ufeff" + path.read_text(),
        path.read_text() + "\n",
        json.dumps(manifest | {DIGEST: manifest[DIGEST].upper()}, indent=1) + "\n",
        json.dumps({"schema_version": 4}),
    ):
        path.write_text(text)
        with pytest.raises(BundleError, match=r"altered since its export|schema_version|not valid JSON"):
            Bundle.load(copied)


def test_what_is_written_is_what_is_read(copied):
    manifest = Bundle.load(copied).manifest
    before = (copied / MANIFEST).read_bytes()
    assert write_manifest(copied, manifest) == manifest
    assert (copied / MANIFEST).read_bytes() == before
    with pytest.raises(ValueError, match="JSON"):
        write_manifest(copied, manifest | {"parity": float("nan")})
    assert (copied / MANIFEST).read_bytes() == before


BUDGET = {"name": "n", "limit": 1, "relation": "<", "value": None, "unit": "", "how": "h"}


@pytest.mark.parametrize(
    ("parts", "keys", "missing"),
    [
        ({}, ["weights"], None),
        ({"weights": None}, ["weights"], "weights"),
        ({"weights": {"source": "random"}}, ["weights"], "weights.parts"),
        ({"budgets": [BUDGET, BUDGET | {"value": 2.5}]}, ["budgets"], None),
        ({"budgets": [BUDGET, BUDGET | {"relation": "~"}]}, ["budgets"], r"budgets\[1\].relation"),
        ({"budgets": [BUDGET | {"relation": []}]}, ["budgets"], r"budgets\[0\].relation"),
        ({"budgets": {}}, ["budgets"], "budgets"),
        ({"budgets": [{"name": "n"}]}, ["budgets"], r"budgets\[0\].limit"),
        ({"parameters": {"total": 5, "vision": "5"}}, ["parameters"], r"parameters\.vision"),
        ({"limits": 5}, ["weights", "limits.latency_ms"], "limits.latency_ms"),
        ({"limits": {"latency_ms": "19"}}, ["limits.latency_ms"], "limits.latency_ms"),
    ],
)
def test_parts_that_only_some_readers_need_are_checked_by_one_call(copied, parts, keys, missing):
    change_manifest(copied, lambda manifest: manifest.update(parts))
    bundle = Bundle.load(copied)
    if missing is None:
        return bundle.require(*keys)
    with pytest.raises(BundleError, match=f"the manifest has no usable {missing}; export it again"):
        bundle.require(*keys)
