"""Layers that share their weights, as the steps of a recurrent layer do, are quantized with one scale."""

import litert_torch
import numpy as np
import pytest
import torch
from torch import nn

from export.convert.tflite import quiet
from export.quantize.layers import walk
from export.quantize.recipe import Rule, TfliteRecipe
from export.quantize.tflite import quantize_tflite
from runtime.engines import open_model

WIDTH = 16
RECIPE = TfliteRecipe("fp32", "min_max", (Rule(".*", ("FULLY_CONNECTED",), "static_int8"),))


class TwiceAndOnce(nn.Module):
    """Beside a layer that is applied twice, one of other weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH, bias=False)
        self.last = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return self.last(torch.tanh(self.layer(torch.tanh(self.layer(x)))))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("shared")
    source, target = folder / "float.tflite", folder / "int8.tflite"
    with quiet():
        signature = litert_torch.signature("main", TwiceAndOnce().eval(), (), {"x": torch.zeros(1, WIDTH)})
        signature.convert().export(str(source))
    random = np.random.default_rng(0)
    samples = [{"x": random.normal(size=(1, WIDTH)).astype(np.float32)} for _ in range(32)]
    quantize_tflite(source, RECIPE, {"main": samples}, target)
    return source, target, samples


def scales(path) -> list[tuple[float, float]]:
    """Scale of the input and of the output of each linear layer."""
    return [
        tuple(
            graph.tensors[index].quantization.scale[0] for index in (operator.inputs[0], operator.outputs[0])
        )
        for _, kind, _, operator, graph in walk(path)
        if kind == "FULLY_CONNECTED"
    ]


def test_they_have_one_scale_and_others_their_own(files):
    first, second, other = scales(files[1])
    assert first == second != other


def test_the_scale_holds_what_every_one_of_them_sees(files):
    source, target, samples = files
    floats, integers = open_model(source), open_model(target)
    with torch.no_grad():
        for sample in samples[:8]:
            expected = floats.run("main", sample)
            found = integers.run("main", sample)
            for name, value in expected.items():
                assert np.abs(found[name] - value).max() < 0.05


def test_the_packed_weights_may_be_kept(files, tmp_path):
    """Elsewhere, layers without bias that share weights at two scales compute something else with them."""
    _, target, samples = files
    plain, kept = open_model(target), open_model(target, weight_cache=tmp_path)
    for sample in samples[:8]:
        expected, found = plain.run("main", sample), kept.run("main", sample)
        assert all(np.array_equal(expected[name], found[name]) for name in expected)
    [packed] = tmp_path.iterdir()
    assert packed.stat().st_size > 0
