"""The page on adding a module is true: its example is taken from it, and through the export."""

import json
import re

import numpy as np
import pytest
import torch

from encoder import EncoderConfig, build
from encoder.model import count_parameters
from encoder.modules.global_view import GLOBAL_VIEWS
from export.convert.tflite import write_tflite
from export.passes import apply_passes
from export.quantize.recipe import load_recipe
from export.quantize.tflite import operators, quantize_tflite, without_unmatched_rules
from runtime.bundle import PARTS, SIGNATURES, tensor_specs
from runtime.engines import Engine
from runtime.metrics import mean_centred_cosine
from tests.benchmarks.ablation_rows import TINY
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "adding_a_module.md").read_text(encoding="utf-8")
SAMPLES = 8


@pytest.fixture
def config():
    before = dict(GLOBAL_VIEWS)
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, globals())
    (values,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    # All but the slot that the example fills is small and quick to convert.
    yield EncoderConfig.from_dict(TINY | json.loads(values))
    GLOBAL_VIEWS.clear()
    GLOBAL_VIEWS.update(before)


@torch.no_grad()
def test_the_pages_module_is_built_exported_quantized_and_run(config, tmp_path):
    encoder = build(config)
    assert count_parameters(encoder)["total"] < 13_800_000
    random = np.random.default_rng(1)
    inputs = {
        "image": random.integers(0, 256, (SAMPLES, 4, 4, 3), np.uint8).repeat(16, 1).repeat(16, 2),
        "input_ids": random.integers(1000, 30_000, (SAMPLES, config.text_max_length), np.int32),
        "attention_mask": np.ones((SAMPLES, config.text_max_length), np.int32),
        "user": random.standard_normal((SAMPLES, 64)).astype(np.float32),
    }
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    expected = encoder(**tensors).numpy()
    screen_tokens = encoder.encode_screen(tensors["image"]).numpy()
    text_token = encoder.encode_text(tensors["input_ids"], tensors["attention_mask"]).numpy()
    known = inputs | {"screen_tokens": screen_tokens, "text_token": text_token}

    source, path = tmp_path / "encoder_fp32.tflite", tmp_path / "encoder.tflite"
    write_tflite(apply_passes(encoder), config, source)
    samples = {
        part: [
            {name: known[name][row : row + 1] for name in SIGNATURES[part].inputs} for row in range(SAMPLES)
        ]
        for part in PARTS
    }
    quantize_tflite(
        source, without_unmatched_rules(load_recipe("my_encoder").tflite, operators(source)), samples, path
    )

    for file, limit in ((source, 0.99999), (path, 0.9)):
        engine = Engine(dict.fromkeys(PARTS, file), 1, tensor_specs(config.to_dict()))
        found = [
            engine.compose({name: array[row : row + 1] for name, array in inputs.items()})["embedding"]
            for row in range(SAMPLES)
        ]
        assert mean_centred_cosine(np.concatenate(found), expected).min() > limit, file.name
    assert path.stat().st_size < source.stat().st_size / 3


def test_an_unknown_module_lists_the_new_one_too(config):
    with pytest.raises(ValueError, match=r"valid options: .*max_pool_mlp"):
        build({"global_projection": "median_pool"})
