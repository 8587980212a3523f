"""Weights come from safetensors only; a file that does not fit is refused by name."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from encoder import EncoderConfig, build
from encoder.config import CHECKPOINTS, preset
from encoder.sources import find_sources
from encoder.weights import WeightsError, load_encoder, load_state, state_sha256
from runtime.provenance import Weights


@pytest.fixture
def state(encoder):
    return {name: tensor.clone() for name, tensor in encoder.state_dict().items()}


def test_an_explicit_file_is_loaded_exactly(tmp_path):
    source = build({}, seed=5, initialize=False)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    encoder, weights = load_encoder(
        EncoderConfig(), find_sources(EncoderConfig(), file=tmp_path / "w.safetensors")
    )
    assert weights.lines == ["weights file w.safetensors, all 6 parts"] and not weights.warning
    assert weights.sha256 == state_sha256(source.state_dict()) == state_sha256(encoder.state_dict())


def test_half_precision_files_are_widened(tmp_path, state):
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    save_file(half, tmp_path / "w.safetensors")
    encoder = build({}, seed=9, initialize=False)
    load_state(encoder, tmp_path / "w.safetensors")
    assert encoder.user.layers[0].weight.dtype == torch.float32
    torch.testing.assert_close(
        encoder.user.layers[0].weight, state["user.layers.0.weight"], atol=1e-3, rtol=0
    )


def test_files_that_cannot_be_read_are_refused(tmp_path, encoder, state):
    with pytest.raises(WeightsError, match=r"gone.safetensors: no such weights file"):
        load_state(encoder, tmp_path / "gone.safetensors")
    torch.save(state, tmp_path / "pickle.safetensors")
    with pytest.raises(WeightsError, match=r"pickle.safetensors: not a readable safetensors file"):
        load_state(encoder, tmp_path / "pickle.safetensors")
    save_file(state, tmp_path / "whole.safetensors")
    whole = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match=r"cut.safetensors: not a readable safetensors file"):
        load_state(encoder, tmp_path / "cut.safetensors")


def test_foreign_tensors_are_named(tmp_path, encoder, state):
    before = state_sha256(encoder.state_dict())
    del state["fusion.query"]
    state["extra"] = torch.zeros(1)
    state["user.layers.0.bias"] = torch.zeros(3)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError) as caught:
        load_state(encoder, tmp_path / "w.safetensors")
    for problem in ("fusion.query is missing", "extra is unknown", "user.layers.0.bias is [3], not [256]"):
        assert problem in str(caught.value)
    assert state_sha256(encoder.state_dict()) == before


def test_each_part_of_random_weights_is_told_loudly():
    _, weights = load_encoder(EncoderConfig(fusion_heads=4, backbone_pretrained=False), seed=2)
    assert weights.lines == ["random, seed 2, all 6 parts"]
    assert weights.warning.startswith("RANDOM WEIGHTS in all parts")
    assert Weights.from_dict(json.loads(json.dumps(weights.to_dict()))) == weights


def test_a_preset_takes_its_committed_checkpoint():
    encoder, weights = load_encoder(preset("balanced"))
    assert weights.lines == ["trained checkpoint balanced.safetensors, all 6 parts"]
    trained = load_file(CHECKPOINTS / "balanced.safetensors")["fusion.query"]
    assert torch.equal(encoder.fusion.query.detach(), trained.float())


def test_a_text_model_that_a_checkpoint_leaves_out_is_told_apart():
    _, weights = load_encoder(preset("high_performance"))
    assert weights.source == "checkpoint + package" and not weights.random
    assert weights.parts["text"].source == "package"
    assert weights.parts["text.projection"].source == "checkpoint"


def test_a_config_that_takes_no_published_weights_is_not_given_any(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    config = EncoderConfig(backbone_pretrained=False)
    assert find_sources(config).notes == ()
    with pytest.raises(WeightsError, match="backbone_pretrained false"):
        find_sources(config, published=True)
    (note,) = find_sources(EncoderConfig(text_model="custom_lstm")).notes
    assert note.startswith("backbone: timm/mobilevit_xxs") and "HF_HUB_OFFLINE" in note


@pytest.mark.parametrize(
    "entry", [{}, {"source": "random", "detail": ""}, {"parts": {}}, {"parts": {"text": {"source": "x"}}}, []]
)
def test_a_manifest_that_names_no_parts_is_refused(entry):
    with pytest.raises(WeightsError, match="export again"):
        Weights.from_dict(entry)
