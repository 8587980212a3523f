"""Prepares the trials of a search from the export's own steps."""

from __future__ import annotations

import numpy as np

from evaluation.arm64.profiles import Profile
from evaluation.arm64.toolchain import open_toolchain
from export.pipeline import CACHE, OnStep, run_steps
from export.quantize.search.trial import Trials
from export.request import Request
from runtime.bundle import SIGNATURES
from runtime.engines import open_model


def open_trials(request: Request, profile: Profile, on_step: OnStep) -> Trials:
    """Prepares what trials need: the float file and the calibration samples, from the export's own steps.

    Raises:
        Arm64Error: the emulator is not set up.
        StepError: a step failed.
    """
    toolchain = open_toolchain()
    folders = run_steps(request, ("tflite", "golden"), on_step)
    source = folders["tflite"] / "encoder_fp32.tflite"
    with np.load(folders["golden"] / "calibration.npz", allow_pickle=False) as found:
        arrays = dict(found)
    model, names = open_model(source), SIGNATURES["fuse"].inputs
    rows = range(len(arrays["image"]))
    fused = [model.run("fuse", {name: arrays[name][row : row + 1] for name in names}) for row in rows]
    arrays["embedding"] = np.concatenate([outputs["embedding"] for outputs in fused])
    return Trials(source, arrays, profile, toolchain, CACHE.parent / "recipe" / "trials")
