"""Baselines for the tests: their `export` is called as a real one's is, in a process of its own."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks.baselines.job import Job
from runtime.bundle import PARTS
from tests.conftest import ROOT

FLOAT = ROOT / "tests" / "data" / "tiny_bundle" / "encoder_fp32.tflite"


def export(job: Job) -> dict[str, Path]:
    """Copies the toy float file, or fails as a converter does."""
    if job.variant == "crash":
        sys.stderr.write("converting\n")
        raise RuntimeError("no kernel for Frobnicate")
    path = job.out / "encoder.tflite"
    if job.variant == "garbage":
        path.write_bytes(b"no model")
    else:
        shutil.copy(FLOAT, path)
    return dict.fromkeys(PARTS, path)
