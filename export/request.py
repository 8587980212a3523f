"""What is to be exported: read and checked before any work starts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from calibration_data.samples import Sample
from encoder.config import EncoderConfig, preset
from encoder.options import check_options
from encoder.sources import Sources, find_sources
from evaluation.sources import ROOT
from export.calibration import DEFAULT_FOLDER, folder_sha256, load_samples
from export.quantize.recipe import Recipe, load_recipe
from runtime.json_text import quoted, read_json
from runtime.manifest import MANIFEST

TOOLS = (
    "torch",
    "timm",
    "transformers",
    "safetensors",
    "onnx",
    "onnxsim",
    "onnxscript",
    "onnxruntime",
    "optimum",
    "optimum-onnx",
    "litert-torch",
    "litert-converter",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "numpy",
    "pillow",
)
"""Packages whose versions may change the exported bytes; they are named in the manifest."""


class RequestError(ValueError):
    """An export that cannot be started; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Request:
    """One export, all inputs read and checked.

    Attributes:
        preset: name of the bundle.
        config: of the encoder.
        sources: of its weights, the files in hand.
        seed: of random weights.
        folder: of the calibration data.
        samples: its samples.
        recipe: the quantization recipe.
        out: where the bundle goes.
        keep_names: of tensors, in the shipped file.
    """

    preset: str
    config: EncoderConfig
    sources: Sources
    seed: int
    folder: Path
    samples: tuple[Sample, ...]
    recipe: Recipe
    out: Path
    keep_names: bool = False

    def inputs(self) -> dict[str, Any]:
        """Returns everything but code and tools that decides what is exported, as JSON can hold it."""
        return {
            "preset": self.preset,
            "config": self.config.to_dict(),
            "seed": self.seed,
            "sources": self.sources.digests(),
            "samples": folder_sha256(list(self.samples)),
            "recipe": asdict(self.recipe),
            "keep_names": self.keep_names,
        }


def read_request(
    name: str,
    *,
    config_file: Path | None = None,
    weights: Path | None = None,
    published: bool = False,
    folder: Path | None = None,
    recipe_file: Path | None = None,
    out: Path | None = None,
    seed: int = 0,
    keep_names: bool = False,
) -> Request:
    """Reads and checks all inputs of an export.

    Args:
        name: of the preset, and of the bundle.
        config_file: JSON of a config that replaces the preset's; `name` then only names the bundle.
        weights: safetensors file.
        published: start from published weights, although there is a trained checkpoint.
        folder: calibration data.
        recipe_file: quantization recipe.
        out: bundle folder, by default dist/NAME.
        seed: of random weights.
        keep_names: leave the tensors' names in the shipped file.

    Raises:
        ConfigError, WeightsError, RecipeError, SampleError, RequestError: bad input; the message says what.
    """
    config = preset(name) if config_file is None else _read_config(config_file)
    if not 0 < len(name) <= 100 or not all(letter.isalnum() or letter in "_-" for letter in name):
        raise RequestError(
            f"the bundle's name {quoted(name)} may hold only letters, digits, _ and -, 100 at most"
        )
    folder = folder or DEFAULT_FOLDER
    out = out or ROOT / "dist" / name
    if out.exists() and not _is_ours(out):
        raise RequestError(f"{out}: exists and is not a bundle; it is left alone, choose another --out")
    samples, recipe = tuple(load_samples(folder, config.user_embed_dim)), load_recipe(name, recipe_file)
    # Found now and not by the step, so that the files decide the step's key: an export with random weights is
    # not taken for unchanged once the hub answers, nor is the hub asked by a step that could be left out.
    sources = find_sources(config, file=weights, published=published)
    return Request(name, config, sources, seed, folder, samples, recipe, out, keep_names)


def _is_ours(out: Path) -> bool:
    """Whether an export may replace a folder: empty, or a bundle, be it damaged or of an older form."""
    if not out.is_dir():
        return False
    return not any(out.iterdir()) or ((out / MANIFEST).is_file() and any(out.glob("encoder*")))


def _read_config(path: Path) -> EncoderConfig:
    values = read_json(path, RequestError, "config file")
    if not isinstance(values, dict):
        raise RequestError(f"{path}: must hold one JSON object of config keys")
    config = EncoderConfig.from_dict(values)
    check_options(config)
    return config


def digest(*parts: Any) -> str:
    """Returns one hash over values that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def tool_versions() -> dict[str, str]:
    """Returns the versions of the tools that an export runs through."""
    return {name: version(name) for name in TOOLS}
