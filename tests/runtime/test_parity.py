"""Parity finds what differs from PyTorch, and its limits gate."""

import json

import numpy as np
import pytest

from runtime import parity
from runtime.bundle import Bundle, BundleError
from tests.runtime.conftest import accept_file, change_manifest


def change_golden(folder, change):
    """Edits golden.npz and has the manifest accept it."""
    with np.load(folder / "golden.npz") as archive:
        arrays = dict(archive)
    change(arrays)
    np.savez_compressed(folder / "golden.npz", **arrays)
    accept_file(folder, "golden.npz")


def test_every_engine_precision_and_signature_is_measured(tiny):
    seen = []
    rows = parity.measure(Bundle.load(tiny), on_progress=lambda done, total, what: seen.append((done, total)))
    assert [(row.engine, row.precision, row.signature) for row in rows] == [
        (engine, precision, signature)
        for engine, whole in (("tflite", ["encode"]), ("onnx", ["encode", "composed"]))
        for precision in ("int8", "fp32")
        for signature in ["vision", "text", "fuse", *whole]
    ]
    assert all(row.passed and row.samples == 4 for row in rows)
    assert seen == [(number + 1, 4 * len(rows)) for number in range(4 * len(rows))]


def test_limits_gate_where_they_mean_something(tiny):
    rows = parity.measure(Bundle.load(tiny), ["onnx"])
    gated = {(row.precision, row.signature): [check.metric for check in row.checks] for row in rows}
    assert gated == {
        **{("int8", part): [] for part in ("vision", "text", "fuse")},
        **{("int8", whole): ["cosine_min", "self_retrieval"] for whole in ("encode", "composed")},
        **{("fp32", name): ["max_abs"] for name in ("vision", "text", "fuse", "encode", "composed")},
    }


def test_a_wrong_embedding_fails(copied):
    def swap(arrays):
        arrays["embedding"] = arrays["embedding"][[1, 0, 2, 3]]

    change_golden(copied, swap)
    rows = {row.signature: row for row in parity.measure(Bundle.load(copied), ["tflite"], ["int8"])}
    assert rows["vision"].passed and rows["text"].passed
    assert not rows["encode"].passed
    assert rows["encode"].self_retrieval == 0.5
    assert rows["encode"].mean_centred_cosine_min < 0.5


def test_a_small_error_in_one_signature_fails_that_one_in_fp32(copied):
    def shift(arrays):
        arrays["screen_tokens"][2, 3, 100] += 0.001

    change_golden(copied, shift)
    rows = {row.signature: row for row in parity.measure(Bundle.load(copied), ["tflite"], ["fp32"])}
    assert rows["vision"].max_abs == pytest.approx(0.001, abs=1e-4)
    assert [name for name, row in rows.items() if not row.passed] == ["vision"]


def test_a_value_that_is_not_a_number_fails(copied, command):
    def spoil(arrays):
        arrays["embedding"][0, 0] = np.nan

    change_golden(copied, spoil)
    ended = command("parity", copied, "--engine", "tflite", "--json")
    assert ended.code == 1
    rows = {(row["precision"], row["signature"]): row for row in json.loads(ended.out)["rows"]}
    assert rows["fp32", "encode"]["max_abs"] is None and not rows["fp32", "encode"]["passed"]
    assert not rows["int8", "encode"]["passed"]


def test_files_are_measured_before_there_is_a_manifest(tiny):
    bundle = Bundle.load(tiny)
    golden = parity.load_golden(tiny / "golden.npz", bundle.tensors)
    files = {name: entry for name, entry in bundle.files.items() if entry.get("engine") == "tflite"}
    stated = {"engines": ["tflite"], "precisions": ["fp32"]}
    rows = parity.measure_files(tiny, files, bundle.tensors, golden, {"fp32": {"max_abs": 0.0}}, **stated)
    assert not any(row.passed for row in rows if row.max_abs > 0) and rows[-1].max_abs > 0
    rows = parity.measure_files(tiny, files, bundle.tensors, golden, {}, **stated)
    assert all(row.passed and row.checks == () for row in rows)
    with pytest.raises(BundleError, match="unknown parity limit 'ssim'"):
        parity.measure_files(tiny, files, bundle.tensors, golden, {"fp32": {"ssim": 1}}, **stated)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("user"), "has no array user"),
        (lambda arrays: arrays.update(user=arrays["user"][:2]), r"user must be float32 \[4, 64\]"),
        (lambda arrays: arrays.update(image=arrays["image"].astype(np.int16)), "image must be uint8"),
        (lambda arrays: arrays.update({name: array[:0] for name, array in arrays.items()}), "image must be"),
        (lambda arrays: arrays.update(user=np.array([None] * 4)), "plain arrays"),
    ],
)
def test_unusable_golden_samples(copied, change, message):
    change_golden(copied, change)
    with pytest.raises(BundleError, match=message):
        parity.measure(Bundle.load(copied), ["tflite"])


def test_golden_samples_that_are_no_archive(copied):
    (copied / "golden.npz").write_bytes(b"PK\x03\x04 not an archive")
    accept_file(copied, "golden.npz")
    with pytest.raises(BundleError, match=r"golden\.npz: cannot be read"):
        parity.measure(Bundle.load(copied), ["tflite"])


def test_the_command_prints_a_table_and_passes(tiny, command):
    ended = command("parity", tiny, "--engine", "tflite")
    assert ended.code == 0 and ended.err == ""
    assert "4 samples against PyTorch: all 8 rows within their limits" in ended.out
    assert "cosine >= 0.99, self-retrieval >= 100%     pass" in ended.out


def test_the_command_fails_where_a_limit_does(copied, command):
    change_manifest(copied, lambda manifest: manifest["limits"]["parity"]["fp32"].update(max_abs=0))
    ended = command("parity", copied, "--precision", "fp32", "--engine", "onnx")
    assert ended.code == 1 and "FAIL" in ended.out and "rows FAILED" in ended.out


def test_a_manifest_without_limits(copied, command):
    change_manifest(copied, lambda manifest: manifest.pop("limits"))
    ended = command("parity", copied)
    assert (ended.code, ended.out) == (2, "") and "no usable limits.parity" in ended.err
