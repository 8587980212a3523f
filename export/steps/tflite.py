"""The float .tflite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from export.convert.tflite import write_tflite
from export.passes import apply_passes
from export.steps.encoder import stored_encoder

if TYPE_CHECKING:
    from export.request import Request


def make_tflite(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Converts the float .tflite."""
    encoder = apply_passes(stored_encoder(request, folders["encoder"]))
    write_tflite(encoder, request.config, out / "encoder_fp32.tflite")
