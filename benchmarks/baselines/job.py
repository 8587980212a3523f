"""What a baseline's `export` is given: the same weights, calibration samples, and a folder to write to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from runtime.bundle import SIGNATURES


@dataclass(frozen=True)
class Job:
    """One export.

    Attributes:
        config: of the encoder, as in a manifest.
        weights: safetensors file of the plain encoder.
        calibration: .npz of the calibration samples: every input of every part, [N, ...].
        out: an empty folder for the files.
        variant: of the baseline.
        sources: files of the baseline that this one starts from, by part; empty where there is none.
    """

    config: Mapping[str, Any]
    weights: Path
    calibration: Path
    out: Path
    variant: str = ""
    sources: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Job:
        """Reads what `to_dict` returned."""
        paths = {key: Path(values[key]) for key in ("weights", "calibration", "out")}
        sources = {part: Path(path) for part, path in values["sources"].items()}
        return cls(values["config"], **paths, variant=values["variant"], sources=sources)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        paths = {key: str(getattr(self, key)) for key in ("weights", "calibration", "out")}
        sources = {part: str(path) for part, path in self.sources.items()}
        return {"config": dict(self.config), **paths, "variant": self.variant, "sources": sources}

    def encoder_config(self):
        """Returns the encoder's config as its own type."""
        from encoder.config import EncoderConfig

        return EncoderConfig.from_dict(self.config)

    def encoder(self):
        """Builds the plain encoder with the weights, in evaluation mode."""
        from encoder.model import build
        from encoder.weights import load_state

        encoder = build(self.encoder_config())
        load_state(encoder, self.weights)
        return encoder.eval()

    def samples(self, part: str) -> list[dict[str, np.ndarray]]:
        """Returns the calibration samples of a part, each a dict of arrays of batch 1 by input name."""
        with np.load(self.calibration, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in SIGNATURES[part].inputs}
        count = len(next(iter(arrays.values())))
        return [{name: array[row : row + 1] for name, array in arrays.items()} for row in range(count)]
