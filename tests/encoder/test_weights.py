"""Weights come from safetensors only; a file that does not fit is refused by name."""

import http.server
import os
import subprocess
import sys
import threading

import pytest
import torch
from safetensors.torch import load_file, save_file

from encoder import EncoderConfig, build
from encoder.config import CHECKPOINTS, preset
from encoder.weights import WeightsError, load_encoder, load_state, state_sha256


@pytest.fixture
def state(encoder):
    return {name: tensor.clone() for name, tensor in encoder.state_dict().items()}


def test_an_explicit_file_is_loaded_exactly(tmp_path):
    source = build({}, seed=5)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    encoder, weights = load_encoder(EncoderConfig(), file=tmp_path / "w.safetensors")
    assert weights.source == "file" and weights.detail == "w.safetensors"
    assert weights.sha256 == state_sha256(source) == state_sha256(encoder)


def test_half_precision_files_are_widened(tmp_path, state):
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    save_file(half, tmp_path / "w.safetensors")
    encoder = build({}, seed=9)
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
    before = state_sha256(encoder)
    del state["fusion.query"]
    state["extra"] = torch.zeros(1)
    state["user.layers.0.bias"] = torch.zeros(3)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError) as caught:
        load_state(encoder, tmp_path / "w.safetensors")
    for problem in ("fusion.query is missing", "extra is unknown", "user.layers.0.bias is [3], not [256]"):
        assert problem in str(caught.value)
    assert state_sha256(encoder) == before


def test_published_weights_are_taken_from_a_hub(tmp_path):
    """A hub on this machine serves BERT weights; the backbone it does not have stays random."""
    published = build({}, seed=8).text.bert.state_dict()
    save_file({f"bert.{name}": tensor for name, tensor in published.items()}, tmp_path / "model.safetensors")
    with _hub(tmp_path / "model.safetensors") as endpoint:
        script = (
            "from encoder import EncoderConfig; from encoder.weights import load_encoder, state_sha256;"
            "e, w = load_encoder(EncoderConfig()); print(w.source, '|', w.detail);"
            "print(float(e.text.bert.embeddings.word_embeddings.weight.double().sum()))"
        )
        environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "cache")}
        environment.pop("HF_HUB_OFFLINE", None)
        result = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True
        )
    assert result.returncode == 0, result.stderr
    described, total = result.stdout.splitlines()[-2:]
    assert described == "hub | published text; all else random, seed 0"
    assert float(total) == float(published["embeddings.word_embeddings.weight"].double().sum())


class _hub:  # noqa: N801
    """The part of a model hub's protocol that a download uses: HEAD for metadata, GET for the bytes."""

    def __init__(self, file):
        content = file.read_bytes()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.answer(body=False)

            def do_GET(self):
                self.answer(body=True)

            def answer(self, *, body):
                if self.path == "/" or "bert-tiny/resolve/main/model.safetensors" in self.path:
                    self.send_response(200)
                    self.send_header("ETag", '"0123456789"')
                    self.send_header("X-Repo-Commit", "0" * 40)
                    self.send_header("Content-Length", str(len(content) if self.path != "/" else 0))
                    self.end_headers()
                    if body and self.path != "/":
                        self.wfile.write(content)
                else:
                    self.send_error(404)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *exception):
        self.server.shutdown()


def test_without_a_hub_random_weights_say_so(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    _, weights = load_encoder(EncoderConfig(fusion_heads=4), seed=2)
    assert weights.source == "random" and "seed 2" in weights.detail


def test_without_a_hub_a_preset_takes_its_committed_checkpoint(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    encoder, weights = load_encoder(preset("balanced"))
    assert (weights.source, weights.detail) == ("checkpoint", "trained checkpoint balanced.safetensors")
    trained = load_file(CHECKPOINTS / "balanced.safetensors")["fusion.query"]
    assert torch.equal(encoder.fusion.query.detach(), trained.float())
