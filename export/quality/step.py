"""Quality as a step of the export: a report and its pictures, or the reason why there are none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from calibration_data.styles import DIMENSION
from export.quality.measure import REFERENCE, SHIPPED, measure
from export.quality.outputs import Models
from export.quality.split import FOLDER, available, read_split
from runtime.bundle import TensorSpec
from runtime.tokenizers import Tokenizer

REPORT = "quality.json"
ENGINES = (REFERENCE, SHIPPED, ("onnx", "int8"))
"""What an export measures: ONNX's float file gives the reference's embeddings, as parity shows, so
`make quality` alone runs it too."""
CAPTIONS = {
    "map": "The test screens' embeddings on a plane (t-SNE): colour is the kind of screen, shape the UI kit.",
    "examples": "What the shipped file ranks first, the first screen of each kind that it gets right: "
    "the right text is green.",
    "regions": "Its masks of the regions over test screens: title red, input field green, keyboard blue, "
    "status bar yellow; the drawn boxes in outline.",
    "failures": "Its worst failures: the right text, green, lies the furthest behind the first.",
}
"""Of the pictures, by their names."""


def write_quality(
    folder: Path,
    files: Mapping[str, Mapping[str, Any]],
    tensors: Mapping[str, TensorSpec],
    tokenizer: Tokenizer,
    golden: Mapping[str, np.ndarray],
    weights: Mapping[str, str],
) -> None:
    """Measures exported files and writes quality.json and the pictures beside them.

    Args:
        folder: holds the files.
        files: name -> entry with engine, precision and signatures.
        tensors: the public tensors.
        tokenizer: of the text tower.
        golden: inputs and PyTorch's outputs of the parity screens.
        weights: where the weights came from.
    """
    skipped = _skipped(weights, tensors)
    report = None
    if not skipped:
        from export.quality.pictures import draw_pictures

        split = read_split(user_embed_dim=DIMENSION)
        report, work, outputs = measure(Models(folder, files, tensors, tokenizer, golden), split, ENGINES)
        for name, data in draw_pictures(split, work, outputs[SHIPPED]).items():
            (folder / f"{name}.webp").write_bytes(data)
    (folder / REPORT).write_text(json.dumps({"report": report, "skipped": skipped}))


def picture_files(folder: Path) -> list[Path]:
    """The pictures that are there, in the order of CAPTIONS."""
    return [path for name in CAPTIONS if (path := folder / f"{name}.webp").is_file()]


def _skipped(weights: Mapping[str, str], tensors: Mapping[str, TensorSpec]) -> str:
    """Why quality is not measured; empty where it is."""
    _, length = tensors["user"].shape
    if weights["source"] == "random":
        return "the weights are random"
    if weights["source"] in ("hub", "package"):
        return "only published parts have weights, the rest is random"
    if length != DIMENSION:
        return f"the test split's user vectors have {DIMENSION} numbers, the encoder takes {length}"
    return "" if available() else f"no test split in {FOLDER.name}"
