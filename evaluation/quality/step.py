"""Quality as a step of the export: a report and its pictures, or the reason why there are none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from calibration_data.generator.styles import DIMENSION
from evaluation.quality.measure import REFERENCE, SHIPPED, measure
from evaluation.quality.outputs import Models, prepare, run_all
from evaluation.quality.split import FOLDER, available, read_split
from runtime.bundle import TensorSpec
from runtime.provenance import Weights

REPORT = "quality.json"
ENGINES = (REFERENCE, SHIPPED, ("onnx", "int8"))
"""What an export measures; `make quality` runs ONNX's float files too."""
CAPTIONS = {
    "map": "The test screens' embeddings on a plane (t-SNE): colour is the screen class, shape the UI kit.",
    "examples": "What the shipped file ranks first, the first screen of each class that it gets right: "
    "the right text is green.",
    "regions": "Its masks of the regions over test screens: title red, input field green, keyboard blue, "
    "status bar yellow; the drawn boxes in outline.",
    "failures": "Its worst failures: the right text, green, lies the furthest behind the first.",
    "fidelity": "How near INT8 stays to float, and the screens on which the shipped file is furthest off: "
    "mean-centred cosine, all screens of the test split.",
}
"""Of the pictures, by their names."""


def run_engine(models: Models, weights: Weights, engine: tuple[str, str]) -> None:
    """Runs one of ENGINES ahead of `write_quality`, which then finds its outputs on disk.

    Args:
        models: the engine's file at least.
        weights: where the weights came from.
        engine: engine and precision.
    """
    if not _skipped(weights, models.tensors):
        split = read_split(user_embed_dim=DIMENSION)
        run_all(models, prepare(models, split), [engine], split.sha256)


def write_quality(folder: Path, models: Models, weights: Weights) -> None:
    """Measures exported files and writes quality.json and the pictures.

    Args:
        folder: where to write them.
        models: the files of ENGINES.
        weights: where the weights came from.
    """
    skipped = _skipped(weights, models.tensors)
    report = None
    if not skipped:
        from evaluation.quality.pictures import draw_pictures

        split = read_split(user_embed_dim=DIMENSION)
        report, work, outputs = measure(models, split, ENGINES)
        for name, data in draw_pictures(split, work, outputs).items():
            (folder / f"{name}.webp").write_bytes(data)
    (folder / REPORT).write_text(json.dumps({"report": report, "skipped": skipped}))


def picture_files(folder: Path) -> list[Path]:
    """The pictures that are there, in the order of CAPTIONS."""
    return [path for name in CAPTIONS if (path := folder / f"{name}.webp").is_file()]


def _skipped(weights: Weights, tensors: Mapping[str, TensorSpec]) -> str:
    """Why quality is not measured; empty where it is."""
    _, length = tensors["user"].shape
    if weights.random:
        return weights.warning
    if length != DIMENSION:
        return f"the test split's user vectors have {DIMENSION} numbers, the encoder takes {length}"
    return "" if available() else f"no test split in {FOLDER.name}"
