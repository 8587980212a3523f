"""litert-torch's float .tflite with one entry of metadata, by which XNNPACK may compute it in fp16.

No tool writes it by default, but on CPUs with fp16 arithmetic it is the strongest of the plain files.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.baselines.job import Job
from runtime.bundle import PARTS


def export(job: Job) -> dict[str, Path]:
    """Adds the entry; returns the one file for every part."""
    from export.quantize.recipe import TfliteRecipe
    from export.quantize.tflite import quantize_tflite

    path = job.out / "encoder.tflite"
    quantize_tflite(job.sources["vision"], TfliteRecipe("fp16", "min_max", rules=()), {}, path)
    return dict.fromkeys(PARTS, path)
