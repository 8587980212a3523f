"""ai-edge-quantizer: its ready recipes on the float .tflite."""

from __future__ import annotations

from pathlib import Path

from benchmarks.baselines.job import Job
from runtime.bundle import PARTS


def export(job: Job) -> dict[str, Path]:
    """Quantizes by the recipe that the variant names; returns the one file for every part."""
    from ai_edge_quantizer import algorithm_manager, quantizer, recipe

    engine = quantizer.Quantizer(str(job.sources["vision"]))
    engine.load_quantization_recipe(getattr(recipe, job.variant)())
    ranges = None
    if engine.need_calibration:
        for end in ("INPUT", "OUTPUT"):  # an app passes floats: the recipe alone makes INT8 of them too
            no_quantize = algorithm_manager.AlgorithmName.NO_QUANTIZE
            engine.update_quantization_recipe(".*", end, algorithm_key=no_quantize)
        ranges = engine.calibrate({part: job.samples(part) for part in PARTS})
    path = job.out / "encoder.tflite"
    engine.quantize(ranges).export_model(str(path))
    return dict.fromkeys(PARTS, path)
