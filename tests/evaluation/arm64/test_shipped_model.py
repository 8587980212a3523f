"""The bundle that ships, on the emulated target: parity, and the gate on its instruction counts."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import networks
from benchmarks.published_latency import PUBLISHED_MS, TOLERANCE
from evaluation import arm64
from evaluation.arm64 import baseline
from evaluation.arm64.emulator import TargetFile, run_on_target
from evaluation.arm64.profiles import choose
from evaluation.arm64.report import SHIPPED
from evaluation.arm64.toolchain import cache_dir
from tests.evaluation.arm64.conftest import edit_manifest, with_two_rows


@pytest.fixture(scope="module")
def report(toolchain, bundle_dir):
    return arm64.measure(bundle_dir, ["a76"], [SHIPPED])


def test_what_ships_computes_on_arm64_what_pytorch_computed(report):
    assert not report.failures
    assert {row.samples for row in report.parity} == {32}
    assert [(row.signature, row.against, row.checks) for row in report.parity if not row.passed] == []


def test_nothing_of_what_ships_leaves_xnnpack_but_lookups(report):
    elsewhere = sum(cost.m_instructions for cost in report.operators if cost.runner != "xnnpack")
    assert elsewhere < 0.02 * report.m_instructions("encode", "a76")


def test_what_ships_costs_no_more_than_committed(report):
    found = baseline.compare(report, baseline.load())
    assert [entry for entry in found if not entry.passed] == []


def test_the_gate_fails_for_a_model_with_an_extra_layer(toolchain, bundle_dir, tmp_path, run):
    folder = with_two_rows(bundle_dir, tmp_path / "heavier")
    add_a_layer(folder / "encoder.tflite")
    edit_manifest(folder, lambda manifest: None)
    ended = run("baseline", folder, "--check", "--json")
    assert ended.code == 1
    verdicts = {entry["signature"]: entry["passed"] for entry in json.loads(ended.out)}
    assert verdicts == {"vision": False, "text": True, "fuse": True}


@pytest.mark.exhaustive
def test_a_published_time_is_predicted(toolchain, tmp_path):
    network, profile = "MobileNet V3-Small", choose(["pixel3a"])[0]
    path = networks.build(network, "fp32", cache_dir() / "networks")
    np.savez(tmp_path / "inputs.npz", **{networks.IMAGE: networks.image()})
    files = [TargetFile(path, (networks.SIGNATURE,), (0,))]
    target = run_on_target(toolchain, profile, files, tmp_path / "inputs.npz", tmp_path)
    m_instructions = target.counts[path.name][networks.SIGNATURE][0] / 1e6
    published = PUBLISHED_MS[network][profile.name]
    assert profile.milliseconds(m_instructions) == pytest.approx(published, rel=TOLERANCE)


def add_a_layer(path: Path) -> None:
    """Repeats, in `vision`, the dearest convolution whose output has the shape of its input."""
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    index = next(s.subgraphIndex for s in model.signatureDefs if s.signatureKey == b"vision")
    graph = model.subgraphs[index]
    convolutions = {
        flatbuffer_utils.BuiltinOperator.CONV_2D,
        flatbuffer_utils.BuiltinOperator.DEPTHWISE_CONV_2D,
    }

    def repeats_itself(operator) -> bool:
        kind = model.operatorCodes[operator.opcodeIndex].builtinCode
        if kind not in convolutions:
            return False
        source, target = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
        return list(source.shape) == list(target.shape) and source.type == target.type

    def multiplications(operator) -> int:
        shape = graph.tensors[operator.outputs[0]].shape
        return int(np.prod(shape) // shape[-1] * np.prod(graph.tensors[operator.inputs[1]].shape))

    layer = max(filter(repeats_itself, graph.operators), key=multiplications)
    old = layer.outputs[0]
    tensor = copy.deepcopy(graph.tensors[old])
    tensor.name += b"_again"
    graph.tensors.append(tensor)
    new = len(graph.tensors) - 1
    extra = copy.deepcopy(layer)
    extra.inputs = [old, *list(layer.inputs)[1:]]
    extra.outputs = [new]
    for operator in graph.operators:
        if operator is not layer:
            operator.inputs = [new if tensor == old else tensor for tensor in operator.inputs]
    graph.operators.insert(graph.operators.index(layer) + 1, extra)
    flatbuffer_utils.write_model(model, str(path))
