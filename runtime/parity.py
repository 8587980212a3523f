"""Is what an engine computes still what PyTorch computed? Measured on the bundle's golden samples.

vision, text and fuse are each fed PyTorch's own inputs; encode runs from the image, the ids and the user to
the embedding: through its own file where there is one (ONNX), and as `composed` through vision, text and fuse
as an app runs it. Where encode has no file of its own (.tflite), it is the composition.

Where the model finds the regions of the screen, `regions` compares their masks.

Of the limits, max_abs holds for every signature; cosine_min, mean_centred_cosine_min and self_retrieval hold
for the whole (encode, composed), since it is embeddings that get compared with each other.
"""

import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import metrics
from .bundle import ENGINES, PRECISIONS, Bundle, select_files
from .engines import Engine
from .json_text import quoted
from .manifest import BundleError
from .tensors import PARTS, REGION_MASKS, SIGNATURES, TensorSpec

GOLDEN = "golden.npz"
COMPOSED = "composed"
MASKS = "regions"
_WHOLE = ("encode", COMPOSED)
_AT_MOST = ("max_abs",)
_AT_LEAST = ("cosine_min", "mean_centred_cosine_min", "self_retrieval")

Limits = Mapping[str, Mapping[str, float]]
OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Check:
    """A metric against its limit."""

    metric: str
    limit: float
    value: float
    passed: bool


@dataclass(frozen=True)
class ParityRow:
    """One signature of one engine and precision against PyTorch; `passed` where every check passed."""

    engine: str
    precision: str
    signature: str
    samples: int
    max_abs: float
    cosine_min: float
    cosine_mean: float
    mean_centred_cosine_min: float
    mean_centred_cosine_mean: float
    self_retrieval: float
    checks: tuple[Check, ...]
    passed: bool


def measure(
    bundle: Bundle,
    engines: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    *,
    threads: int = 2,
    on_progress: OnProgress = lambda done, total, what: None,
) -> list[ParityRow]:
    """Measures a bundle against the limits in its manifest.

    Args:
        bundle: The bundle.
        engines: Which engines; None = all.
        precisions: Which precisions; None = all.
        threads: Threads that a run may use.
        on_progress: Called with samples done, samples in all, and what runs.

    Raises:
        BundleError: A missing or altered file, unusable golden samples, or no limits in the manifest.
        EngineError: An engine is not installed or cannot open its file.
    """
    bundle.require("limits.parity")
    limits = bundle.manifest["limits"]["parity"]
    golden = load_golden(bundle.file(GOLDEN), bundle.tensors)
    engines, precisions = engines or ENGINES, precisions or PRECISIONS
    for engine in engines:  # every file is checked before the first is run
        for precision in precisions:
            for name in select_files(bundle.files, engine, precision).values():
                bundle.file(name)
    return measure_files(
        bundle.path, bundle.files, bundle.tensors, golden, limits,
        engines=engines, precisions=precisions, threads=threads, on_progress=on_progress,
    )  # fmt: skip


def measure_files(
    folder: Path,
    files: Mapping[str, Mapping[str, Any]],
    tensors: Mapping[str, TensorSpec],
    golden: Mapping[str, np.ndarray],
    limits: Limits,
    *,
    engines: Sequence[str] = ENGINES,
    precisions: Sequence[str] = PRECISIONS,
    threads: int = 2,
    on_progress: OnProgress = lambda done, total, what: None,
) -> list[ParityRow]:
    """Measures model files that need not be a bundle yet.

    Args:
        folder: Where the files are.
        files: As in a manifest: name -> engine, precision and signatures.
        tensors: The public tensors.
        golden: Inputs and PyTorch's outputs, [N, ...] each, by tensor name.
        limits: Precision -> metric -> limit; a precision without an entry is measured without limits.

    The other arguments, and what it raises, are those of `measure`.
    """
    jobs = []
    for engine, precision in ((e, p) for e in engines for p in precisions):
        chosen = select_files(files, engine, precision)
        opened = Engine({key: Path(folder) / name for key, name in chosen.items()}, threads, tensors)
        whole = _WHOLE if "encode" in chosen else ("encode",)
        masks = (MASKS,) if REGION_MASKS in tensors else ()
        outputs_of = _Outputs(opened, golden, has_encode="encode" in chosen)
        jobs += [(engine, precision, signature, outputs_of) for signature in (*PARTS, *masks, *whole)]
    samples, rows = len(golden["image"]), []
    for engine, precision, signature, outputs_of in jobs:
        outputs = []
        for sample in range(samples):
            outputs.append(outputs_of(signature, sample))
            step = samples * len(rows) + sample + 1
            on_progress(step, samples * len(jobs), f"{engine} {precision} {signature}")
        figures = compare(np.concatenate(outputs), golden[_output(signature)])
        checks = _checks(signature, figures, limits.get(precision, {}))
        passed = all(check.passed for check in checks)
        rows.append(ParityRow(engine, precision, signature, samples, **figures, checks=checks, passed=passed))
    return rows


def compare(values: np.ndarray, golden: np.ndarray) -> dict[str, float]:
    """Every parity metric of outputs [N, ...] against golden ones, by ParityRow's field names."""
    cosine, centred = metrics.cosine(values, golden), metrics.mean_centred_cosine(values, golden)
    return {
        "max_abs": metrics.max_abs(values, golden),
        "cosine_min": float(cosine.min()),
        "cosine_mean": float(cosine.mean()),
        "mean_centred_cosine_min": float(centred.min()),
        "mean_centred_cosine_mean": float(centred.mean()),
        "self_retrieval": metrics.self_retrieval(values, golden),
    }


def load_golden(path: Path, tensors: Mapping[str, TensorSpec]) -> dict[str, np.ndarray]:
    """Reads golden samples: every public tensor, [N, ...], N the same for all.

    Raises:
        BundleError: Not an .npz of plain arrays, or an array is missing or of another dtype or shape.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            golden = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path}: cannot be read as an .npz of plain arrays: {error}") from error
    missing = [name for name in tensors if name not in golden]
    if missing:
        raise BundleError(f"{path}: has no array {', '.join(missing)}")
    samples = len(golden["image"]) if golden["image"].ndim else 0
    for name, (dtype, shape) in tensors.items():
        array = golden[name]
        if samples == 0 or array.dtype.name != dtype or array.shape != (samples, *shape[1:]):
            wanted = f"{dtype} {[max(samples, 1), *shape[1:]]}"
            raise BundleError(f"{path}: {name} must be {wanted}, not {array.dtype} {list(array.shape)}")
    return golden


def _public(signature: str):
    if signature in _WHOLE:
        return SIGNATURES["encode"]
    return SIGNATURES["vision" if signature == MASKS else signature]


def _output(signature: str) -> str:
    """The tensor that is compared."""
    return REGION_MASKS if signature == MASKS else _public(signature).outputs[0]


class _Outputs:
    """Outputs of an engine for golden samples; what vision and text computed serves all rows that need it."""

    def __init__(self, engine: Engine, golden: Mapping[str, np.ndarray], has_encode: bool) -> None:
        self._engine, self._golden, self._has_encode = engine, golden, has_encode
        self._tokens: dict[tuple[str, int], dict[str, np.ndarray]] = {}

    def __call__(self, signature: str, sample: int) -> np.ndarray:
        """One sample's output, [1, ...]."""
        if signature == COMPOSED or (signature == "encode" and not self._has_encode):
            found = self._compose(sample)
        elif signature in ("fuse", "encode"):
            found = self._engine.run(signature, self._inputs(signature, sample))
        else:
            found = self._part("vision" if signature == MASKS else signature, sample)
        return found[_output(signature)]

    def _inputs(self, signature: str, sample: int) -> dict[str, np.ndarray]:
        return {name: self._golden[name][sample : sample + 1] for name in _public(signature).inputs}

    def _part(self, signature: str, sample: int) -> dict[str, np.ndarray]:
        if (signature, sample) not in self._tokens:
            inputs = self._inputs(signature, sample)
            self._tokens[signature, sample] = self._engine.run(signature, inputs)
        return self._tokens[signature, sample]

    def _compose(self, sample: int) -> dict[str, np.ndarray]:
        tokens = self._part("vision", sample) | self._part("text", sample)
        known = self._inputs("fuse", sample) | tokens
        return self._engine.run("fuse", {name: known[name] for name in SIGNATURES["fuse"].inputs})


def _checks(signature: str, figures: Mapping[str, float], limits: Mapping[str, float]) -> tuple[Check, ...]:
    checks = []
    for metric, limit in limits.items():
        if metric not in _AT_MOST + _AT_LEAST or not isinstance(limit, (int, float)):
            known = ", ".join(_AT_MOST + _AT_LEAST)
            raise BundleError(
                f"unknown parity limit {quoted(metric)}, {quoted(limit)}: numbers limit {known}"
            )
        if metric in _AT_MOST or signature in _WHOLE:
            value = figures[metric]
            # A value that is not a number passes neither comparison.
            passed = value <= limit if metric in _AT_MOST else value >= limit
            checks.append(Check(metric, limit, value, bool(passed) and math.isfinite(value)))
    return tuple(checks)
