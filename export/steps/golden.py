"""What PyTorch computes for both splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from export.golden import run_encoder, write_golden
from export.steps.encoder import stored_encoder
from export.steps.files import read_arrays

if TYPE_CHECKING:
    from export.request import Request

KEPT = ("screen_tokens", "text_token", "embedding")


def make_golden(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Runs PyTorch eagerly on both splits: golden vectors, and what calibrates `fuse` and judges recipes."""
    encoder = stored_encoder(request, folders["encoder"])
    write_golden(encoder, read_arrays(folders["inputs"] / "parity.npz"), out / "golden.npz")
    inputs = read_arrays(folders["inputs"] / "calibration.npz")
    outputs = run_encoder(encoder, inputs)
    np.savez(out / "calibration.npz", **inputs, **{name: outputs[name] for name in KEPT})
