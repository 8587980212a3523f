"""The shipped file on the emulated phones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation import arm64
from evaluation.arm64.report import SHIPPED
from evaluation.budgets import limits
from export.steps.files import MODEL_FILES, side_by_side, tensors_of
from runtime.bundle import Bundle, file_sha256, select_files
from runtime.parity import GOLDEN

if TYPE_CHECKING:
    from export.request import Request


def make_arm64(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Runs the shipped file on the emulated phones."""
    shipped = set(select_files(MODEL_FILES, *SHIPPED).values())
    steps = {GOLDEN: "golden"} | {name: MODEL_FILES[name]["step"] for name in shipped}
    with side_by_side(folders, out, steps):
        files = {name: {"sha256": file_sha256(out / name)} | MODEL_FILES.get(name, {}) for name in steps}
        manifest = {"preset": request.preset, "limits": limits(), "files": files}
        bundle = Bundle(out, manifest, tensors_of(request, folders["encoder"]))
        report = arm64.measure(bundle, models=[SHIPPED]).to_dict()
    (out / "arm64.json").write_text(json.dumps(report))
