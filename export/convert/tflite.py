"""Writes the float .tflite: one file, three signatures, tensors by their public names."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from encoder.config import EncoderConfig
from encoder.model import Encoder
from export.convert.any_length import TEXT, open_length
from export.convert.wrappers import WRAPPERS, example_inputs
from export.passes.text_rows import TextRows
from export.patches import count_in_int32, lazy_graphs
from runtime.bundle import PARTS


def write_tflite(encoder: Encoder, config: EncoderConfig, path: Path) -> None:
    """Converts `vision`, `text` and `fuse` through torch.export and litert-torch into one float32 file.

    Weights that signatures share are stored once. Converting twice gives the same bytes. Texts may have any
    length up to the config's where their tower allows it (`open_length`).

    Args:
        encoder: in evaluation mode, with its rewrites applied.
        config: of the encoder; it gives the shapes.
        path: the file to write.
    """
    _convert(encoder, config, PARTS, path)
    if isinstance(encoder.text, TextRows):
        length = config.text_max_length
        another = replace(config, text_max_length=length + 1 if length < 64 else length - 1)
        with tempfile.TemporaryDirectory(prefix="pocket-text-") as folder:
            _convert(encoder, another, [TEXT], Path(folder) / "text.tflite")
            open_length(path, Path(folder) / "text.tflite")


def _convert(encoder: Encoder, config: EncoderConfig, parts: Sequence[str], path: Path) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import litert_torch  # takes seconds; only this step needs it

    logging.getLogger("litert_torch").setLevel(logging.ERROR)
    count_in_int32()
    converter = litert_torch
    for part in parts:
        module = WRAPPERS[part](encoder).eval()
        converter = converter.signature(part, module, sample_kwargs=example_inputs(config, part))
    with torch.no_grad(), quiet(), lazy_graphs():
        converter.convert().export(str(path))


@contextlib.contextmanager
def quiet():
    """Keeps what the converters print away from the terminal; it is shown where they fail."""
    captured = io.StringIO()
    try:
        with contextlib.redirect_stdout(captured), contextlib.redirect_stderr(captured):
            yield
    except Exception as error:
        tail = "\n".join(captured.getvalue().splitlines()[-10:])
        if tail:
            error.add_note(tail)
        raise
