"""One encoder and one batch of inputs for all tests here."""

import numpy as np
import pytest
import torch

from encoder import build


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
