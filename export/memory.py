"""Private memory as a step of the export."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from export.request import Request
from runtime.bench import measure_memory
from runtime.bundle import Bundle, file_sha256

REPORT = "memory.json"


def make_memory(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Measures the private memory that loading the shipped file and running it adds, in fresh processes."""
    from export.budgets import SHIPPED
    from export.bundle import MODEL_FILES
    from export.steps import tensors_of

    folder, entry = folders["tflite_int8"], MODEL_FILES[SHIPPED]
    files = {SHIPPED: entry | {"sha256": file_sha256(folder / SHIPPED)}}
    bundle = Bundle(folder, {"files": files}, tensors_of(request, folders["encoder"]))
    found = measure_memory(bundle, entry["engine"], entry["precision"])
    (out / REPORT).write_text(json.dumps({"private_bytes": found.private_bytes, "how": found.how}))
