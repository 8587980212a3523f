"""Published weights, from a real hub on the loopback that is up, down, slow or failing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save
from transformers import BertConfig, BertForMaskedLM

from encoder.train.smoke import make_dataset
from tests.encoder.hub import FAILURES, SLOW_S, Hub

ROOT = Path(__file__).parents[2]
BACKBONE, TEXT = "timm/mobilevit_xxs.cvnets_in1k", "prajjwal1/bert-tiny"
BALANCED, UNTRAINED = {}, {"fusion_heads": 4}
"""A config with a committed checkpoint, and one without."""


def filled(state: dict[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    """Numbers that are those of no initialization, and yet compute."""
    chance = torch.Generator().manual_seed(seed)
    drawn = {
        k: v + 0.01 * torch.rand(v.shape, generator=chance) for k, v in state.items() if v.is_floating_point()
    }
    return {key: value.clone() for key, value in (state | drawn).items()}


def bert_tiny() -> dict[str, torch.Tensor]:
    """Tensors of a whole BERT-tiny with the head of its pre-training, as `bert....` and `cls....`."""
    config = BertConfig(
        vocab_size=30522, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512
    )
    state = BertForMaskedLM(config).state_dict()
    return filled(
        {name: tensor for name, tensor in state.items() if name != "cls.predictions.decoder.weight"}, 2
    )


def tensorflows(state):
    """The names that BERT was first published with."""
    return {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in state.items()
    }


def without_prefix(state):
    return {k.removeprefix("bert."): v for k, v in state.items() if not k.startswith("cls.")}


@pytest.fixture(scope="module")
def tensors() -> dict[str, dict[str, torch.Tensor]]:
    backbone = filled(timm.create_model("mobilevit_xxs").state_dict(), 1)  # its classifier too
    return {BACKBONE: backbone, TEXT: bert_tiny()}


class Client:
    """A process of its own that loads encoders from a hub, with a cache folder of its own."""

    def __init__(self, hub: Hub, home: Path):
        self.hub, self.home = hub, home
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        self.environment |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.encoder.hub"], cwd=ROOT, env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def ask(self, **told):
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def find(self, config, *, published=False):
        """Finds the sources; loads nothing."""
        return self.ask(config=config, published=published, load=False)

    def load(self, config, *, published=False, save=""):
        return self.ask(config=config, published=published, load=True, save=str(save))

    def cached_files(self) -> list[Path]:
        return [path for path in self.home.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with Hub({}) as hub:
        client = Client(hub, tmp_path_factory.mktemp("home"))
        yield client
        client.process.kill()  # an orderly end takes seconds
        client.process.communicate()


@pytest.fixture
def client(running, tensors):
    """The client before a hub that is up, with nothing cached."""
    shutil.rmtree(running.home, ignore_errors=True)
    running.hub.repositories = {name: {"model.safetensors": save(found)} for name, found in tensors.items()}
    running.hub.turn("up")
    return running


def test_a_trained_preset_is_the_same_whatever_the_hub_does_and_asks_it_nothing(client):
    up = client.load(BALANCED)
    assert up["lines"] == ["trained checkpoint balanced.safetensors, all 6 parts"]
    for mode in ("slow", *FAILURES):
        client.hub.turn(mode)
        assert client.find(BALANCED)["digests"] == up["digests"]
        assert client.hub.seen == []
    assert client.load(BALANCED)["weights"] == up["weights"]
    assert client.cached_files() == []


@pytest.mark.parametrize("rename", [dict, tensorflows, without_prefix], ids=lambda form: form.__name__)
def test_published_parts_are_loaded_exactly_and_told_part_by_part(client, tensors, tmp_path, rename):
    client.hub.repositories[TEXT]["model.safetensors"] = save(rename(tensors[TEXT]))
    found = client.load(BALANCED, published=True, save=tmp_path / "loaded.safetensors")
    assert found["lines"] == [
        f"backbone: published weights of {BACKBONE}",
        "regions, global_view, text.projection, user, fusion: random, seed 0",
        f"text: published weights of {TEXT}",
    ]
    loaded = load_file(tmp_path / "loaded.safetensors")
    for name, tensor in loaded.items():
        if name.startswith("backbone."):
            own = name.removeprefix("backbone.features.").replace("stages_", "stages.")
            assert torch.equal(tensor, tensors[BACKBONE][own]), name
        elif name.startswith("text.bert."):
            assert torch.equal(tensor, tensors[TEXT][name.removeprefix("text.")]), name


def test_without_a_checkpoint_published_parts_are_taken_and_then_kept(client):
    up = client.load(UNTRAINED)
    assert up["notes"] == [] and up["weights"]["parts"]["text"]["source"] == "published"
    for mode in ("down", "500"):
        client.hub.turn(mode)
        assert client.load(UNTRAINED)["weights"] == up["weights"]
        assert client.hub.seen == []


@pytest.mark.exhaustive
def test_published_parts_are_taken_from_a_slow_hub_too(client):
    up = client.find(UNTRAINED)
    shutil.rmtree(client.home)
    client.hub.turn("slow")
    slow = client.find(UNTRAINED)
    assert slow["notes"] == [] and slow["digests"] == up["digests"]
    assert 2 * SLOW_S <= slow["found_s"] < 15  # a redirection each, both parts side by side


REASONS = {
    "down": "is out of reach",
    "401": "the hub answered 401 for model.safetensors",
    "404": "the hub answered 404 for model.safetensors",
    "500": "the hub answered 500 for model.safetensors",
    "half": "broke off within model.safetensors",
    "altered": "what the hub sent for model.safetensors is damaged or cut off",
}


def test_what_a_failing_hub_does_not_give_is_random_and_told_and_leaves_nothing(client):
    assert REASONS.keys() == set(FAILURES)
    found_all = []
    for mode, reason in REASONS.items():
        client.hub.turn(mode)
        found = client.find(UNTRAINED)
        assert [note.split(": ")[0] for note in found["notes"]] == ["backbone", "text"], mode
        assert all(reason in note for note in found["notes"]), found["notes"]
        assert found["found_s"] < 8 and client.cached_files() == []
        assert len(client.hub.seen) <= 4, "nothing is asked again and again"
        found_all.append(found)
        refused = client.find(BALANCED, published=True)["error"]
        assert refused.startswith("published weights cannot be had: backbone: ") and reason in refused
        assert len(refused.splitlines()) == 1
    assert client.load(UNTRAINED)["lines"] == ["random, seed 0, all 6 parts"]
    random = found_all[0]["digests"]
    assert all(found["digests"] == random for found in found_all)
    client.hub.turn("up")
    assert client.find(UNTRAINED)["digests"] != random, "an export would take the random one for unchanged"


def test_pickled_weights_are_refused(client):
    client.hub.repositories[TEXT] = {"pytorch_model.bin": b"pickle"}
    found = client.load(UNTRAINED)
    (note,) = found["notes"]
    assert note.startswith(f"text: {TEXT}: refused, its weights are only pickled (pytorch_model.bin)")
    assert found["weights"]["parts"]["backbone"]["source"] == "published"
    assert found["weights"]["parts"]["text"]["source"] == "random"
    assert not any(seen.startswith("GET") and seen.endswith(".bin") for seen in client.hub.seen)
    assert "only pickled" in client.find(BALANCED, published=True)["error"]


def test_what_the_hubs_own_tools_have_cached_is_taken_when_it_is_down(client):
    for repository in (BACKBONE, TEXT):
        assert Path(client.ask(hub_download=repository)["path"]).is_file()
    client.hub.turn("down")
    found = client.load(UNTRAINED)
    assert found["notes"] == [] and "random" not in found["weights"]["parts"]["backbone"]["source"]


@pytest.mark.parametrize("part", [BACKBONE, TEXT])
def test_a_published_file_of_another_model_is_refused_by_its_tensors(client, tensors, part):
    state = dict(tensors[part])
    name = next(
        name for name in state if name.endswith(("stem.bn.running_mean", "0.attention.self.key.bias"))
    )
    del state[name]
    client.hub.repositories[part]["model.safetensors"] = save(state)
    error = client.load(UNTRAINED)["error"]
    assert "model.safetensors: weights of another" in error
    assert f"{name.removeprefix('bert.')} is missing" in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("part", [BACKBONE, TEXT])
def test_a_published_tensor_of_another_shape_is_refused(client, tensors, part):
    name = next(
        name for name in tensors[part] if name.endswith(("stem.conv.weight", "word_embeddings.weight"))
    )
    client.hub.repositories[part]["model.safetensors"] = save(tensors[part] | {name: torch.zeros(3, 3, 3, 3)})
    error = client.load(UNTRAINED)["error"]
    assert name.removeprefix("bert.") in error and len(error.splitlines()) == 1


def test_an_export_from_published_weights_that_cannot_be_had_ends_before_any_work(client, tmp_path):
    client.hub.turn("500")
    refused = client.ask(export=["--weights", "published", "--out", str(tmp_path / "bundle")])
    assert refused["code"] == 2
    (line,) = refused["error"].splitlines()
    assert "published weights cannot be had" in line and "the hub answered 500" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.exhaustive
def test_training_starts_from_published_weights_or_ends_before_any_work(client, tensors, tmp_path):
    data, out = make_dataset(tmp_path / "screens", per_split=4), tmp_path / "run"
    options = ["--init", "published", "--data", data, "--out", out, "--stage", "context", "--teacher", "none"]
    options += ["--freeze-text", "--low-resolution-share", "1", "--batch", "4", "--steps", "1"]

    def train():
        command = [sys.executable, "-m", "encoder.train", *map(str, options)]
        return subprocess.run(command, cwd=ROOT, env=client.environment, capture_output=True, text=True)

    client.hub.turn("404")
    refused = train()
    assert refused.returncode == 2 and "published weights cannot be had" in refused.stderr.splitlines()[-1]
    assert not out.exists()
    client.hub.turn("up")
    done = train()
    assert done.returncode == 0, done.stderr
    trained = load_file(out / "encoder.safetensors")
    text = {name.removeprefix("text."): tensor for name, tensor in trained.items() if "text.bert." in name}
    assert all(torch.equal(tensor, tensors[TEXT][name].half()) for name, tensor in text.items()) and text
