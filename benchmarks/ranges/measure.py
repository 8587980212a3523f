"""Quantizes one float encoder in every way, and measures each on screens that set no range."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from benchmarks.ranges.methods import correct_biases, equalize, least_squared_error
from calibration_data.samples import read_samples
from encoder.tokenizers import tokenizer_of
from encoder.weights import load_trained
from evaluation.quality.metrics import Tail, tail
from evaluation.quality.outputs import OnProgress
from evaluation.quality.robustness import embedder
from evaluation.quality.split import FOLDER
from export.pipeline import run_steps
from export.quantize.onnx import OnnxQuantizer
from export.quantize.ranges import LEFT_OUT, Ranges, Samples, tail_ranges, tflite_activations
from export.quantize.tflite import operators, quantize_tflite, without_unmatched_rules
from export.request import Request, read_request
from export.steps.files import calibration_samples
from runtime.bundle import PARTS
from runtime.engines import open_model
from runtime.metrics import mean_centred_cosine
from runtime.preprocess import load_image

SHARES = {"99.9": 1e-3, "99.99": 1e-4, "99.999, ships": LEFT_OUT["percentile"]}
EQUALIZED_ON = 24
"""Calibration screens whose values equalization looks at."""
UNSEEN = "unseen_kit"


@dataclass(frozen=True)
class Way:
    """One way to quantize, and how near float it stays.

    Attributes:
        engine: `tflite` or `onnx`.
        name: of the way.
        found: by set of screens, the low end of the mean-centred cosines.
    """

    engine: str
    name: str
    found: Mapping[str, Tail]


class Trials:
    """The float files of a request, and the screens to measure on.

    Args:
        request: of the encoder.
        others: more screens, images: every other one is measured, and the rest can calibrate.
        folders: of the steps `tflite`, `onnx` and `golden`.
    """

    def __init__(self, request: Request, others: Sequence[Path], folders: Mapping[str, Path]):
        self.size, self.users = request.config.image_size, (1, request.config.user_embed_dim)
        self.tokenizer = tokenizer_of(request.config)
        self.source, self.onnx = folders["tflite"] / "encoder_fp32.tflite", folders["onnx"]
        self.recipe = request.recipe
        self.tflite = without_unmatched_rules(request.recipe.tflite, operators(self.source))
        self.samples = {part: list(calibration_samples(folders["golden"], part)) for part in PARTS}
        unseen = read_samples(FOLDER, splits=(UNSEEN, "test"), user_embed_dim=self.users[1])
        files = {"unseen kit": [s.image for s in unseen if s.split == UNSEEN], "own": list(others)[::2]}
        self.screens = {name: [self._load(path) for path in paths] for name, paths in files.items() if paths}
        self.spare = [self._load(path) for path in others[1::2]]
        model = open_model(self.source)
        self._float = model.run
        self.reference = {name: self._embed(model.run, images) for name, images in self.screens.items()}

    def _load(self, path: Path) -> np.ndarray:
        return load_image(path, self.size)

    def _embed(self, run: Callable, images: Sequence[np.ndarray]) -> np.ndarray:
        embed = embedder(run, self.tokenizer, self.users)
        return np.concatenate([embed(image) for image in images])

    def measured(self, engine: str, name: str, run: Callable) -> Way:
        """Compares a quantized encoder with the float one."""
        found = {
            key: tail(mean_centred_cosine(self._embed(run, images), self.reference[key]))
            for key, images in self.screens.items()
        }
        return Way(engine, name, found)

    def by_ranges(self, name: str, ranges: Ranges, *, correct: bool = False) -> Way:
        """Quantizes the .tflite with ranges, and corrects biases where asked to."""
        with tempfile.TemporaryDirectory(prefix="pocket-ranges-") as folder:
            path = Path(folder) / "encoder.tflite"
            quantize_tflite(self.source, self.tflite, self.samples, path, ranges=ranges)
            if correct:
                correct_biases(self.source, path, self.samples)
            return self.measured("tflite", name, open_model(path).run)

    def by_percentile(self, share: float, samples: Samples | None = None) -> Ranges:
        """Takes ranges, by default on the calibration samples."""
        return tail_ranges(tflite_activations(self.source, samples or self.samples), share)

    def onnx_by(self, name: str, calibration: str) -> Way:
        """Quantizes the ONNX files."""
        recipe, models = replace(self.recipe.onnx, calibration=calibration), {}
        with tempfile.TemporaryDirectory(prefix="pocket-ranges-") as folder:
            for part in PARTS:
                path = Path(folder) / f"{part}.onnx"
                source = self.onnx / f"{part}_fp32.onnx"
                OnnxQuantizer(source, part, recipe, self.samples[part]).write(recipe, path)
                models[part] = open_model(path)
            return self.measured("onnx", name, lambda part, inputs: models[part].run(part, inputs))

    def own_samples(self) -> Samples:
        """Returns calibration samples of the spare screens, alone; texts are those of the calibration."""
        ids, mask = self.tokenizer.encode("")
        text = {"input_ids": ids[None], "attention_mask": mask[None]}
        token = self._float("text", text)["text_token"]
        vision = [{"image": image[None]} for image in self.spare]
        fuse = [
            {
                "screen_tokens": self._float("vision", one)["screen_tokens"],
                "text_token": token,
                "user": np.zeros(self.users, np.float32),
            }
            for one in vision
        ]
        return {"vision": vision, "text": self.samples["text"], "fuse": fuse}


def ways(trials: Trials, equalized: Callable[[], Trials]) -> Iterator[Callable[[], Way]]:
    """Yields what measures one way after the other.

    Args:
        trials: of the encoder.
        equalized: makes those of the same encoder, equalized.
    """
    shipped = LEFT_OUT["percentile"]
    yield lambda: trials.by_ranges("min/max", trials.by_percentile(0.0))
    for name, share in SHARES.items():
        yield lambda name=name, share=share: trials.by_ranges(
            f"percentile {name}", trials.by_percentile(share)
        )
    yield lambda: trials.by_ranges("least squared error", least_squared_error(trials.source, trials.samples))
    yield lambda: trials.by_ranges("99.999, biases corrected", trials.by_percentile(shipped), correct=True)
    yield lambda: equalized().by_ranges("99.999, equalized", equalized().by_percentile(shipped))
    others = {"half the screens": {part: rows[::2] for part, rows in trials.samples.items()}}
    if trials.spare:
        own = trials.own_samples()
        others["and own"] = {part: [*rows, *own[part]] for part, rows in trials.samples.items()}
        others["own alone"] = own
    for name, share in (("min/max", 0.0), ("99.999", shipped)):
        for which, samples in others.items():
            yield lambda name=f"{name}, {which}", share=share, samples=samples: trials.by_ranges(
                name, trials.by_percentile(share, samples)
            )
    yield lambda: trials.onnx_by("min/max", "min_max")
    yield lambda: trials.onnx_by("percentile 99.999, ships", "percentile")


def measure(request: Request, others: Sequence[Path], on_progress: OnProgress) -> list[Way]:
    """Converts the encoder, from the export's cache where it is there, and measures every way.

    Args:
        request: of the encoder.
        others: more screens, images; may be empty.
        on_progress: called with ways done, ways in all, and what is at work.

    Raises:
        StepError: a step of the conversion failed.
        WeightsError: the encoder has no trained weights.
    """
    encoder = load_trained(request.config)
    trials = _trials(request, others)

    @functools.cache
    def equalized() -> Trials:
        equalize(encoder, [sample["image"][0] for sample in trials.samples["vision"][:EQUALIZED_ON]])
        with tempfile.TemporaryDirectory(prefix="pocket-ranges-") as folder:
            path = Path(folder) / "equalized.safetensors"
            save_file({name: value.contiguous() for name, value in encoder.state_dict().items()}, path)
            return _trials(read_request(request.preset, weights=path), others)

    todo = list(ways(trials, equalized))
    found = []
    for number, one in enumerate(todo):
        found.append(one())
        on_progress(number + 1, len(todo), found[-1].name)
    return found


def _trials(request: Request, others: Sequence[Path]) -> Trials:
    return Trials(request, others, run_steps(request, ("tflite", "onnx", "golden"), lambda *_: None))
