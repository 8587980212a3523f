"""The same weights and the same calibration samples for every baseline, from where the bundle has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.sources import sources_digest
from export.request import digest
from runtime.bundle import Bundle
from runtime.errors import InputError
from runtime.files import whole_folder

_MODULES = ("export.calibration", "export.golden", "encoder.tokenizers", "encoder.weights")
"""What computes the files."""
_TOKENS = ("screen_tokens", "text_token")


@dataclass(frozen=True)
class Inputs:
    """What every baseline starts from.

    Attributes:
        config: of the encoder.
        weights: safetensors file of the plain encoder, the bundle's own.
        calibration: .npz of the calibration samples, with the tokens that calibrate `fuse`.
        key: changes with any of these.
    """

    config: dict[str, Any]
    weights: Path
    calibration: Path
    key: str


def prepare(bundle: Bundle, root: Path, weights: Path | None = None) -> Inputs:
    """Finds the bundle's weights and computes the calibration samples, or takes both from `root`.

    Args:
        bundle: says which weights and which config.
        root: the comparison's folder.
        weights: safetensors file of the encoder, where the bundle was exported from one.

    Raises:
        InputError: the weights found are not the bundle's, or the calibration samples cannot be read.
    """
    from encoder.config import EncoderConfig
    from export.calibration import DEFAULT_FOLDER, folder_sha256, load_samples

    config = EncoderConfig.from_dict(bundle.manifest["config"])
    samples = [s for s in load_samples(DEFAULT_FOLDER, config.user_embed_dim) if s.split == "calibration"]
    wanted = bundle.manifest["weights"]["sha256"]
    key = digest(config.to_dict(), wanted, folder_sha256(samples), sources_digest(*_MODULES))[:16]
    folder = root / "inputs" / key
    if not folder.is_dir():
        with whole_folder(folder) as partial:
            _write(config, samples, _find(config, wanted, weights), partial)
    files = (folder / "encoder.safetensors", folder / "calibration.npz")
    return Inputs(config.to_dict(), *files, key)


def _find(config, wanted: str, explicit: Path | None):
    """The encoder that has the bundle's weights: from the file, the export's cache, or the usual places."""
    from encoder.model import build
    from encoder.sources import find_sources
    from encoder.weights import load_encoder, load_state
    from export.pipeline import CACHE

    for facts in CACHE.glob("encoder-*/encoder.json") if explicit is None else ():
        if json.loads(facts.read_text())["weights"]["sha256"] == wanted:
            encoder = build(config)
            load_state(encoder, facts.with_name("encoder.safetensors"))
            return encoder
    encoder, found = load_encoder(config, find_sources(config, file=explicit))
    if found.sha256 != wanted:
        raise InputError(
            f"the bundle was made of weights {wanted[:12]}..., and those found here ({found.summary}) "
            f"are {found.sha256[:12]}...: export it again, or name its file with --weights"
        )
    return encoder


def _write(config, samples, encoder, folder: Path) -> None:
    from safetensors.torch import save_file

    from encoder.tokenizers import tokenizer_of
    from export.calibration import preprocess
    from export.golden import run_encoder

    arrays = preprocess(samples, config, tokenizer_of(config))
    tokens = run_encoder(encoder, arrays)
    np.savez(folder / "calibration.npz", **arrays, **{name: tokens[name] for name in _TOKENS})
    state = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(state, folder / "encoder.safetensors")
