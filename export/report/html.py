"""The bundle's report: one HTML file, no network, no script."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from evaluation.quality.step import CAPTIONS, picture_files
from evaluation.quality.tables import tables as quality_tables
from evaluation.terminal.format import verdict_row
from evaluation.verdict import Verdict
from export.calibration import unknown_warning
from runtime.provenance import Weights

SHEET_COLUMNS = 16


def render_report(manifest: Mapping[str, Any], folder: Path, pictures: Path) -> str:
    """Renders the report of a bundle.

    Args:
        manifest: of the bundle.
        folder: where the bundle lies, complete but for its manifest.
        pictures: folder with the pictures of its quality, if that was measured.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    layers = json.loads((folder / "plan.json").read_text())["layers"]
    budgets = [Verdict.from_dict(values) for values in manifest["budgets"]]
    return environment.get_template("template.html").render(
        manifest=manifest,
        weights=Weights.from_dict(manifest["weights"]),
        unknown=unknown_warning(manifest["tokenizer"]),
        budgets=[{**verdict_row(budget), "state": _state(budget)} for budget in budgets],
        layers=layers,
        precisions=sorted(Counter(layer["precision"] for layer in layers).items()),
        sheet=_contact_sheet(folder / "golden.npz"),
        quality=quality_tables(manifest["quality"]) if manifest["quality"] else [],
        pictures=[(CAPTIONS[path.stem], _data_url(path.read_bytes())) for path in picture_files(pictures)],
    )


def _state(budget: Verdict) -> str:
    return {True: "pass", False: "fail", None: "open"}[budget.passed]


def _contact_sheet(golden: Path) -> str:
    """Returns the parity screens as the model sees them, a data URL."""
    with np.load(golden, allow_pickle=False) as arrays:
        images = arrays["image"]  # [N, H, W, 3]
    count, height, width, _ = images.shape
    columns = min(SHEET_COLUMNS, count)
    rows = -(-count // columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * height, index % columns * width
        sheet[top : top + height, left : left + width] = image
    data = io.BytesIO()
    Image.fromarray(sheet).save(data, "WEBP", quality=70, method=4)
    return _data_url(data.getvalue())


def _data_url(webp: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(webp).decode()
