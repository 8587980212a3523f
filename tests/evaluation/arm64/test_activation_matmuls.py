"""Activation-by-activation matmuls: what LiteRT's INT8 makes of them on a core without the dot product."""

from __future__ import annotations

import litert_torch
import numpy as np
import pytest
import torch
from torch import nn

from evaluation.arm64.emulator import TargetFile, run_on_target
from evaluation.arm64.profiles import choose
from export.convert.tflite import quiet
from export.quantize import tflite
from export.quantize.layers import layer_precisions
from export.quantize.recipe import Rule, TfliteRecipe
from runtime.engines import open_model

RECIPE = TfliteRecipe("fp32", "min_max", (Rule(".*", ("FULLY_CONNECTED",), "static_int8"),))


class Pool(nn.Module):
    """Averages what lies under soft masks that are zero nearly everywhere, and projects it."""

    def __init__(self) -> None:
        super().__init__()
        self.projection = nn.Linear(16, 16)

    def forward(self, masks, pixels):
        return self.projection(torch.sigmoid(masks) @ torch.relu(pixels).transpose(1, 2))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Quantizes the pool; returns the file of each way to do it, and the folder of its inputs."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("matmuls")
    random = np.random.default_rng(0)
    masks = random.normal(-6, 4, (8, 1, 4, 256)).astype(np.float32)
    pixels = random.normal(-1, 1, (8, 1, 16, 256)).astype(np.float32)
    samples = [{"masks": one, "pixels": other} for one, other in zip(masks, pixels, strict=True)]
    source = folder / "float.tflite"
    with quiet():
        arguments = {name: torch.from_numpy(array) for name, array in samples[0].items()}
        litert_torch.signature("main", Pool().eval(), (), arguments).convert().export(str(source))
    files = {"ours": folder / "ours.tflite", "naive": folder / "naive.tflite"}
    tflite.quantize_tflite(source, RECIPE, {"main": samples}, files["ours"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tflite, "activation_matmuls", lambda path: [])
        tflite.quantize_tflite(source, RECIPE, {"main": samples}, files["naive"])
    np.savez(folder / "inputs.npz", masks=masks[:, 0], pixels=pixels[:, 0])
    return files, folder / "inputs.npz"


def test_they_stay_in_float_and_linear_layers_do_not(made):
    files, _ = made
    linear = [row for row in layer_precisions(files["ours"]) if row["operator"] == "FULLY_CONNECTED"]
    assert sorted(row["precision"] for row in linear) == ["float", "static_int8"]
    assert {row["precision"] for row in linear if "projection" in row["layer"]} == {"static_int8"}


def test_only_so_an_older_core_computes_what_this_host_does(toolchain, made, tmp_path):
    """The naive file shows that it is needed: once it passes, `activation_matmuls` can go."""
    files, inputs = made
    (core,) = choose(["pixel"])
    targets = [TargetFile(path, ("main",), (0, 1), group=name) for name, path in files.items()]
    target = run_on_target(toolchain, core, targets, inputs, tmp_path)
    worst = {}
    with np.load(inputs) as arrays:
        for name, path in files.items():
            model = open_model(path)
            [(output, found)] = [
                (file.stem.split(".")[1], np.load(file))
                for file in (target.outputs_dir / name).glob("main.*.npy")
            ]
            expected = [
                model.run("main", {key: arrays[key][row : row + 1] for key in arrays})[output]
                for row in (0, 1)
            ]
            expected = np.concatenate(expected)
            worst[name] = np.abs(found - expected).max() / np.abs(expected).max()
    assert worst["ours"] < 0.02 < 0.2 < worst["naive"]
