"""Writes the float .tflite: one file, three signatures, tensors by their public names."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from pathlib import Path

import torch

from encoder.config import EncoderConfig
from encoder.model import Encoder
from export.convert.wrappers import WRAPPERS, example_inputs
from export.patches import count_in_int32, lazy_graphs
from runtime.bundle import PARTS


def write_tflite(encoder: Encoder, config: EncoderConfig, path: Path) -> None:
    """Converts `vision`, `text` and `fuse` through torch.export and litert-torch into one float32 file.

    Weights that signatures share are stored once. Converting twice gives the same bytes.

    Args:
        encoder: in evaluation mode, with its rewrites applied.
        config: of the encoder; it gives the shapes.
        path: the file to write.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import litert_torch  # takes seconds; only this step needs it

    logging.getLogger("litert_torch").setLevel(logging.ERROR)
    count_in_int32()
    modules = {part: WRAPPERS[part](encoder).eval() for part in PARTS}
    converter = litert_torch
    for part, module in modules.items():
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
