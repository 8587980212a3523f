"""The screens and texts of both splits, as the encoder takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from encoder.tokenizers import tokenizer_of
from export.calibration import SPLITS, preprocess, unknown_shares
from export.steps.files import UNKNOWN

if TYPE_CHECKING:
    from export.request import Request


def make_inputs(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Preprocesses and tokenizes both splits."""
    tokenizer = tokenizer_of(request.config)
    for split in SPLITS:
        samples = [sample for sample in request.samples if sample.split == split]
        np.savez(out / f"{split}.npz", **preprocess(samples, request.config, tokenizer))
    (out / UNKNOWN).write_text(json.dumps(unknown_shares(request.samples, tokenizer)))
