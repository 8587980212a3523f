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
    from torch.fx._lazy_graph_module import _use_lazy_graph_module

    logging.getLogger("litert_torch").setLevel(logging.ERROR)
    _count_in_int32()
    modules = {part: WRAPPERS[part](encoder).eval() for part in PARTS}
    converter = litert_torch
    for part, module in modules.items():
        converter = converter.signature(part, module, sample_kwargs=example_inputs(config, part))
    # Some 150 passes each write a graph out as Python; lazily, only what is called is written and compiled.
    with torch.no_grad(), quiet(), _use_lazy_graph_module(True):
        converter.convert().export(str(path))


def _count_in_int32() -> None:
    """Lets `arange` count in int32 from the start, where PyTorch would in int64.

    litert-torch does so itself, but at the end, and then traces the whole graph once more: a sixth of the
    time of an encoder that resizes its maps. The file is the same.
    """
    from litert_torch.fx_infra import decomp

    def arange(*bounds, dtype: torch.dtype | None = None, **options):
        if dtype in (None, torch.int64) and all(isinstance(bound, int) for bound in bounds):
            dtype = torch.int32
        start, end = bounds if len(bounds) == 2 else (0, *bounds)
        return torch.ops.aten.arange.start_step(start, end, 1, dtype=dtype, **options)

    for overload in (torch.ops.aten.arange.default, torch.ops.aten.arange.start):
        decomp.add_pre_lower_decomp(overload, arange)


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
