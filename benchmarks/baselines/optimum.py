"""Optimum: its configuration for ARM64, static with calibration or dynamic, on the float ONNX files."""

from __future__ import annotations

from pathlib import Path

from benchmarks.baselines.job import Job
from runtime.bundle import PARTS


def export(job: Job) -> dict[str, Path]:
    """Quantizes each part's file; the defaults are Optimum's, operators and data types included."""
    from optimum.onnxruntime import AutoQuantizationConfig, ORTQuantizer

    static, files = job.variant == "static", {}
    config = AutoQuantizationConfig.arm64(is_static=static, per_channel=True)
    for part in PARTS:
        source = job.sources[part]
        quantizer = ORTQuantizer.from_pretrained(source.parent, file_name=source.name)
        ranges = _ranges(quantizer, config, job, part) if static else None
        quantizer.quantize(config, job.out, file_suffix="int8", calibration_tensors_range=ranges)
        files[part] = job.out / f"{part}_int8.onnx"
    return files


def _ranges(quantizer, config, job: Job, part: str):
    from onnxruntime.quantization import CalibrationMethod
    from optimum.onnxruntime.configuration import CalibrationConfig

    samples = [{name: array[0] for name, array in sample.items()} for sample in job.samples(part)]
    calibration = CalibrationConfig(
        dataset_name="samples",
        dataset_config_name="",
        dataset_split="calibration",
        dataset_num_samples=len(samples),
        method=CalibrationMethod.MinMax,
    )
    augmented = job.out / "augmented.onnx"
    ranges = quantizer.fit(
        samples, calibration, augmented, operators_to_quantize=config.operators_to_quantize
    )
    augmented.unlink(missing_ok=True)
    return ranges
