"""Tries a recipe: quantizes by it, and runs the file on the emulated phone for instructions and accuracy."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluation.arm64 import results
from evaluation.arm64.emulator import TargetFile, run_on_target
from evaluation.arm64.errors import Arm64Error
from evaluation.sources import sources_digest
from export.quantize.recipe import TfliteRecipe
from export.quantize.search.give_back import split
from export.quantize.tensor_names import strip_tensor_names
from export.quantize.tflite import calibrate, quantize_tflite
from runtime.bundle import PARTS, file_sha256
from runtime.metrics import mean_centred_cosine

if TYPE_CHECKING:
    from evaluation.arm64.profiles import Profile
    from evaluation.arm64.toolchain import Toolchain


@dataclass(frozen=True)
class Trial:
    """What a recipe gives.

    Attributes:
        m_instructions: signature -> million instructions of an inference on the profile.
        file_bytes: of the .tflite.
        cosine_min, cosine_mean: mean-centred cosine with the float embeddings, in the phone's arithmetic.
    """

    m_instructions: dict[str, float]
    file_bytes: int
    cosine_min: float
    cosine_mean: float

    @property
    def encode_m_instructions(self) -> float:
        """Million instructions of vision, text and fuse together."""
        return sum(self.m_instructions.values())

    @property
    def noise(self) -> float:
        """What is missing to the same embeddings, on average."""
        return 1 - self.cosine_mean


class Trials:
    """Tries recipes on one float file; what was tried before comes from disk.

    Args:
        source: the float .tflite.
        arrays: inputs and PyTorch's outputs of the calibration samples, by tensor name, [N, ...].
        profile: the emulated phone.
        toolchain: its emulator.
        cache: folder of earlier trials.
    """

    def __init__(
        self,
        source: Path,
        arrays: Mapping[str, np.ndarray],
        profile: Profile,
        toolchain: Toolchain,
        cache: Path,
    ):
        self.source, self.profile, self.toolchain, self.cache = source, profile, toolchain, cache
        self.samples, self.judged = split(arrays)
        self._ranges: dict | None = None
        self._base = [file_sha256(source), asdict(profile), toolchain.versions, sources_digest(__name__)]

    def calibrate(self, recipe: TfliteRecipe) -> None:
        """Takes the ranges of activations once for all recipes whose integer layers are among `recipe`'s."""
        self._ranges = calibrate(self.source, recipe, self.samples)

    def measure(self, recipe: TfliteRecipe) -> Trial:
        """Tries a recipe.

        Raises:
            RecipeError: a rule matches no operator.
            Arm64Error: the file does not run on the phone.
        """
        key = results.digest([*self._base, asdict(recipe)])
        known = results.load(self.cache, key)
        if known is None:
            known = self._try(recipe)
            results.store(self.cache, key, known)
        return Trial(**known)

    def _try(self, recipe: TfliteRecipe) -> dict:
        with tempfile.TemporaryDirectory(prefix="pocket-recipe-") as folder:
            work = Path(folder)
            path, inputs = work / "encoder.tflite", work / "inputs.npz"
            quantize_tflite(self.source, recipe, self.samples, path, ranges=self._ranges)
            strip_tensor_names(path, self.source)
            np.savez(inputs, **self.judged)
            rows = tuple(range(len(self.judged["image"])))
            file = TargetFile(path, PARTS, rows, group="trial")
            (work / "target").mkdir()
            target = run_on_target(self.toolchain, self.profile, [file], inputs, work / "target")
            for failure in target.failures:
                raise Arm64Error(
                    f"a trial's file did not run: {failure.reason}: {json.dumps(failure.last_lines)}"
                )
            found = np.load(target.outputs_dir / "trial" / "composed.embedding.npy")
            cosines = mean_centred_cosine(found, self.judged["embedding"])
            counts = target.counts[path.name]
            return {
                "m_instructions": {part: round(min(counts[part]) / 1e6, 4) for part in PARTS},
                "file_bytes": path.stat().st_size,
                "cosine_min": round(float(cosines.min()), 5),
                "cosine_mean": round(float(cosines.mean()), 5),
            }
