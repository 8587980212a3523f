"""Private memory as a step of the export."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.budgets import SHIPPED
from evaluation.memory import memory_verdict
from export.steps.files import MODEL_FILES, tensors_of
from runtime.bundle import Bundle, file_sha256

if TYPE_CHECKING:
    from export.request import Request

REPORT = "memory.json"


def make_memory(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Measures the private memory that loading the shipped file and running it adds, in fresh processes."""
    folder, entry = folders["tflite_int8"], MODEL_FILES[SHIPPED]
    files = {SHIPPED: entry | {"sha256": file_sha256(folder / SHIPPED)}}
    bundle = Bundle(folder, {"files": files}, tensors_of(request, folders["encoder"]))
    (out / REPORT).write_text(json.dumps(memory_verdict(bundle, first_start=False).to_dict()))
