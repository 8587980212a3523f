"""litert-torch: the float .tflite of the plain encoder, three signatures in one file."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.baselines.job import Job
from runtime.bundle import PARTS


def export(job: Job) -> dict[str, Path]:
    """Converts; returns the one file for every part."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import litert_torch
    import torch

    from export.convert.wrappers import WRAPPERS, example_inputs

    encoder, converter = job.encoder(), litert_torch
    for part in PARTS:
        inputs = example_inputs(job.encoder_config(), part)
        converter = converter.signature(part, WRAPPERS[part](encoder).eval(), sample_kwargs=inputs)
    path = job.out / "encoder.tflite"
    with torch.no_grad():
        converter.convert().export(str(path))
    return dict.fromkeys(PARTS, path)
