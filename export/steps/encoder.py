"""The encoder with its weights: built once, stored, and loaded by the steps that compute with it."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import save_file

from encoder.config import EncoderConfig
from encoder.model import Encoder, build, count_parameters
from encoder.weights import load_encoder, load_state

if TYPE_CHECKING:
    from export.request import Request

FILE, FACTS = "encoder.safetensors", "encoder.json"


def make_encoder(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Builds the encoder, loads its weights, and stores both for the other steps."""
    encoder, weights = load_encoder(request.config, request.sources, seed=request.seed)
    state = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(state, out / FILE)
    facts = {
        "weights": weights.to_dict(),
        "parameters": count_parameters(encoder),
        "mask_size": encoder.mask_size,
    }
    (out / FACTS).write_text(json.dumps(facts))


def stored_encoder(request: Request, folder: Path) -> Encoder:
    """Returns the encoder of an export, given the folder of its step `encoder`; nobody may change it."""
    return _load(request.config, folder / FILE)


@functools.lru_cache(maxsize=1)
def _load(config: EncoderConfig, path: Path) -> Encoder:
    encoder = build(config, initialize=False)
    load_state(encoder, path)
    return encoder
