"""Prepares the trials of a search from the export's own steps."""

from __future__ import annotations

from evaluation.arm64.profiles import Profile
from evaluation.arm64.toolchain import open_toolchain
from export.pipeline import CACHE, OnStep, run_steps
from export.quantize.search.trial import Trials
from export.request import Request
from export.steps.files import read_arrays


def open_trials(request: Request, profile: Profile, on_step: OnStep) -> Trials:
    """Prepares what trials need: the float file and the calibration samples, from the export's own steps.

    Raises:
        Arm64Error: the emulator is not set up.
        StepError: a step failed.
    """
    toolchain = open_toolchain()
    folders = run_steps(request, ("tflite", "golden"), on_step)
    source = folders["tflite"] / "encoder_fp32.tflite"
    arrays = read_arrays(folders["golden"] / "calibration.npz")
    return Trials(source, arrays, profile, toolchain, CACHE.parent / "recipe" / "trials")
