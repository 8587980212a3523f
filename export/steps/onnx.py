"""The float ONNX files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from export.convert.onnx import compose, write_onnx
from export.passes import apply_passes
from export.steps.encoder import stored_encoder
from runtime.bundle import PARTS

if TYPE_CHECKING:
    from export.request import Request


def make_onnx(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Exports the float ONNX files."""
    encoder = apply_passes(stored_encoder(request, folders["encoder"]))
    for part in PARTS:
        write_onnx(encoder, request.config, part, out / f"{part}_fp32.onnx")
    compose({part: out / f"{part}_fp32.onnx" for part in PARTS}, out / "encoder_fp32.onnx")
