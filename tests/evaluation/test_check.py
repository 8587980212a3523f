"""The checklist as a user meets it: six measured items, an exit status, and one line for bad input."""

import json
import shutil
import subprocess
import sys

import onnx
import pytest
from onnx import TensorProto, helper

from evaluation.__main__ import main
from tests.conftest import ROOT
from tests.made_weights import weights_entry
from tests.runtime.conftest import TINY, accept_file, change_manifest

ITEMS = ["all models load", "output shapes", "parameters", "latency", "size after quantization", "weights"]


@pytest.fixture
def bundle(tmp_path):
    """The tiny bundle with what an export says of itself: it passes everything."""
    folder = shutil.copytree(TINY, tmp_path / "bundle")
    paths = [
        {"path": path, "profile": profile, "m_instructions": 1.0, "ms": ms, "ms_range": [ms, ms]}
        for profile, ms in (("a76", 17.0), ("pixel2", 40.0))
        for path in ("encode", "keystroke")
    ]
    change_manifest(
        folder,
        lambda manifest: manifest.update(
            parameters={"total": 13_799_999, "vision": 1, "text": 1, "fuse": 1},
            budgets=[],
            arm64={"target": "a76", "paths": paths},
            weights=weights_entry(),
        ),
    )
    return folder


@pytest.fixture
def check(bundle, capfd):
    """Runs `check --json` on the bundle; returns the exit status and the rows of each item."""

    def run(*arguments: str):
        code = main(["check", str(bundle), "--json", *arguments])
        rows = json.loads(capfd.readouterr().out)
        return code, {item: [row for row in rows if row["item"] == item] for item in ITEMS}

    return run


def test_six_items_each_with_value_limit_verdict_and_how(check):
    code, found = check()
    assert code == 0
    assert all(found[item] for item in ITEMS)
    for row in (row for rows in found.values() for row in rows):
        assert row["value"] is not None and row["limit"] is not None and row["how"]
        assert row["pass"] is (row["name"] != "latency of encode, pixel2")
    assert found["all models load"][0]["value"] == 10  # two .tflite, eight .onnx
    assert found["output shapes"][0]["value"] == 14  # three signatures twice, eight files of one each
    assert [row["unit"] for row in found["size after quantization"]] == ["bytes", "bytes"]


def test_only_the_target_phone_decides(check, bundle):
    _, found = check()
    assert [(row["value"], row["gated"]) for row in found["latency"]] == [(17.0, True), (40.0, False)]
    change_manifest(bundle, lambda manifest: manifest["arm64"].update(target="pixel2"))
    code, found = check()
    assert code == 1 and [row["value"] for row in found["latency"] if row["gated"]] == [40.0]


def test_a_file_that_does_not_load(check, bundle):
    (bundle / "text.onnx").write_bytes(b"no model")
    accept_file(bundle, "text.onnx")
    code, found = check()
    loads = found["all models load"][0]
    assert code == 1 and loads["value"] == 9 and loads["pass"] is False
    assert loads["how"].startswith("text.onnx: ONNX Runtime cannot open it")


def test_the_shipped_file_does_not_load(check, bundle):
    (bundle / "encoder.tflite").write_bytes(b"no model")
    accept_file(bundle, "encoder.tflite")
    code, found = check()
    assert code == 1 and found["all models load"][0]["value"] == 9
    memory = found["size after quantization"][1]
    assert memory["value"] is None and memory["how"].startswith("not measured: ")


def test_an_output_of_another_shape(check, bundle):
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 256, 128, 3])
    tokens = helper.make_tensor_value_info("screen_tokens", TensorProto.FLOAT, [1, 4, 256])
    value = helper.make_tensor("value", TensorProto.FLOAT, [1, 4, 256], [0.0] * 1024)
    nodes = [
        helper.make_node("Cast", ["image"], ["unused"], to=TensorProto.FLOAT),
        helper.make_node("Constant", [], ["screen_tokens"], value=value),
    ]
    graph = helper.make_graph(nodes, "vision", [image], [tokens])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, bundle / "vision.onnx")
    accept_file(bundle, "vision.onnx")
    code, found = check()
    assert code == 1 and found["all models load"][0]["pass"]
    shapes = found["output shapes"][0]
    assert (
        shapes["value"] == 13
        and "screen_tokens is float32 [1, 4, 256], not float32 [1, 5, 256]" in shapes["how"]
    )


@pytest.mark.parametrize(
    ("item", "change"),
    [
        ("parameters", {"parameters": {"total": 13_800_000}}),
        ("weights", {"weights": weights_entry("random")}),
        ("weights", {"weights": weights_entry(fusion="random")}),
    ],
)
def test_an_item_that_fails_fails_the_gate(check, bundle, item, change):
    change_manifest(bundle, lambda manifest: manifest.update(change))
    code, found = check()
    assert code == 1
    assert [name for name in ITEMS if any(row["pass"] is False and row["gated"] for row in found[name])] == [
        item
    ]


def test_a_further_limit_fails_the_gate_too(bundle, capfd):
    lost = {"name": "parity tflite int8 self_retrieval", "limit": 1.0, "relation": ">=", "value": 0.5, "unit": "",
            "how": "parity screens", "gated": True, "item": "", "profile": "", "pass": True}  # fmt: skip
    change_manifest(bundle, lambda manifest: manifest.update(budgets=[lost]))
    assert main(["check", str(bundle)]) == 1
    out = capfd.readouterr().out
    assert "6 of 6 items pass; 1 further limit failed" in out


def test_what_was_not_counted_is_said(bundle, capfd, tmp_path, monkeypatch):
    monkeypatch.setenv("POCKET_ARM64_CACHE", str(tmp_path / "no emulator"))
    change_manifest(bundle, lambda manifest: manifest.pop("arm64"))
    assert main(["check", str(bundle)]) == 0
    out = capfd.readouterr().out
    assert (
        "5 of 6 items pass; not measured: latency" in out
        and "not measured: the ARM64 emulator is not set up" in out
    )


def test_bad_input(bundle, capfd):
    def refused(*arguments: str) -> str:
        assert main(["check", *arguments]) == 2
        error = capfd.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1
        return error

    assert "huge: no such bundle folder" in refused("huge")
    (bundle / "vocab.txt").write_text("[PAD]\n")
    assert "vocab.txt" in refused(str(bundle))
    change_manifest(bundle, lambda manifest: manifest.pop("budgets"))
    accept_file(bundle, "vocab.txt")
    assert "the manifest has no usable budgets; export it again" in refused(str(bundle))


def test_an_exported_preset(bundle_dir, tmp_path):
    command = [sys.executable, "-m", "evaluation", "check", "dist/balanced", "--json"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    rows = json.loads(result.stdout)
    assert result.returncode == 0, result.stderr
    assert list(dict.fromkeys(row["item"] for row in rows)) == [*ITEMS, ""]
    manifest = json.loads((bundle_dir / "manifest.json").read_text())
    parameters = next(row for row in rows if row["item"] == "parameters")
    assert parameters["value"] == manifest["parameters"]["total"] < 13_800_000 and parameters["pass"]
    file, memory = (row for row in rows if row["item"] == "size after quantization")
    assert file["value"] == (bundle_dir / "encoder.tflite").stat().st_size < 6_000_000 and file["pass"]
    for row in rows:
        if row["item"] == "latency" and row["gated"] and row["value"] is not None:
            assert row["value"] < 19 and row["pass"]
    too_large = shutil.copytree(bundle_dir, tmp_path / "bundle")
    change_manifest(too_large, lambda manifest: manifest["parameters"].update(total=13_800_000))
    assert main(["check", str(too_large)]) == 1
    assert 1_000_000 < memory["value"] < 6_000_000 and memory["pass"]
