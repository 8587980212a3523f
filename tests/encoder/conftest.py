"""One encoder and one batch of inputs for all tests here; small presets, and runs of the training command."""

import numpy as np
import pytest
import torch

from encoder import build
from encoder.config import PRESETS
from encoder.train.__main__ import main
from encoder.train.smoke import make_dataset
from tests.encoder.tiny import TINY
from tests.encoder.training import arguments


@pytest.fixture(scope="session")
def encoder():
    return build({})


@pytest.fixture(scope="session")
def batch() -> dict[str, torch.Tensor]:
    random = np.random.default_rng(7)
    mask = np.zeros((3, 64), np.int32)
    for row, length in enumerate((2, 9, 64)):
        mask[row, :length] = 1
    return {
        "image": torch.from_numpy(random.integers(0, 256, (3, 256, 128, 3), dtype=np.uint8)),
        "input_ids": torch.from_numpy((random.integers(1000, 30000, (3, 64)) * mask).astype(np.int32)),
        "attention_mask": torch.from_numpy(mask),
        "user": torch.from_numpy(random.standard_normal((3, 64)).astype(np.float32)),
    }


@pytest.fixture(scope="module")
def tiny_presets():
    PRESETS.update(TINY)
    yield
    for name in TINY:
        del PRESETS[name]


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_presets):
    """Six screens to train on and six to validate on."""
    return make_dataset(tmp_path_factory.mktemp("data") / "screens", per_split=6)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """The folder of a finished run of three steps."""
    out = tmp_path_factory.mktemp("trained") / "run"
    assert main(arguments(data, out)) == 0
    return out


@pytest.fixture
def train(data, tmp_path, capsys):
    """Runs the command in this process; returns its exit code and what it said on stderr."""

    def call(*more: object, out=tmp_path / "run") -> tuple[int, str]:
        code = main(arguments(data, out, *more))
        return code, capsys.readouterr().err

    return call
