"""The steps of an export, in order. Each reads earlier steps' files and writes its own."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from export.request import Request
from runtime.bundle import PARTS, SIGNATURES, TensorSpec, tensor_specs

TOKENS = ("screen_tokens", "text_token")


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: of the step and of its folder in the cache.
        title: what the terminal shows.
        needs: steps whose files it reads.
        sources: code that decides its result, as globs in the repository.
        run: called with the request, the folders of the needed steps by name, and its own folder.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    sources: tuple[str, ...]
    run: Callable[[Request, Mapping[str, Path], Path], None]


def make_encoder(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Builds the encoder, finds its weights, and stores both for the other steps."""
    from safetensors.torch import save_file

    from encoder.model import count_parameters
    from encoder.weights import load_encoder

    encoder, weights = load_encoder(request.config, file=request.weights, seed=request.seed)
    state = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(state, out / "encoder.safetensors")
    facts = {
        "weights": asdict(weights),
        "parameters": count_parameters(encoder),
        "mask_size": encoder.mask_size,
    }
    (out / "encoder.json").write_text(json.dumps(facts))


def make_inputs(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Preprocesses and tokenizes both splits."""
    from encoder.train.text_data import tokenizer_of
    from export.calibration import SPLITS, preprocess

    tokenizer = tokenizer_of(request.config)
    for split in SPLITS:
        samples = [sample for sample in request.samples if sample.split == split]
        np.savez(out / f"{split}.npz", **preprocess(samples, request.config, tokenizer))


def make_golden(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Runs PyTorch eagerly on both splits: golden vectors, and the tokens that calibrate `fuse`."""
    from export.golden import run_encoder, write_golden

    encoder = _encoder(request, folders["encoder"])
    write_golden(encoder, read_arrays(folders["inputs"] / "parity.npz"), out / "golden.npz")
    inputs = read_arrays(folders["inputs"] / "calibration.npz")
    tokens = run_encoder(encoder, inputs)
    np.savez(out / "calibration.npz", **inputs, **{name: tokens[name] for name in TOKENS})


def make_tflite(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Converts the float .tflite."""
    from export.tflite import write_tflite

    encoder = _rewritten(request, folders["encoder"])
    write_tflite(encoder, request.config, out / "encoder_fp32.tflite")


def make_onnx(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Exports the float ONNX files."""
    from export.onnx import compose, write_onnx

    encoder = _rewritten(request, folders["encoder"])
    for part in PARTS:
        write_onnx(encoder, request.config, part, out / f"{part}_fp32.onnx")
    compose({part: out / f"{part}_fp32.onnx" for part in PARTS}, out / "encoder_fp32.onnx")


def make_tflite_int8(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Calibrates and quantizes the .tflite, and lists the precision that every layer got."""
    from export.quantize.layers import layer_precisions
    from export.quantize.slim import slim
    from export.quantize.tflite import operators, quantize_tflite, without_idle_rules

    samples = {part: list(_calibration(folders["golden"], part)) for part in PARTS}
    source, target = folders["tflite"] / "encoder_fp32.tflite", out / "encoder.tflite"
    plan = request.plan
    if plan.general:
        plan = replace(plan, tflite=without_idle_rules(plan.tflite, operators(source)))
    quantize_tflite(source, plan.tflite, samples, target)
    layers = layer_precisions(target)  # by the names that the finished file no longer has
    slim(target, source)
    listed = {"plan": plan.to_dict(), "layers": layers}
    (out / "plan.json").write_text(json.dumps(listed, indent=1) + "\n")


def make_onnx_int8(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Calibrates and quantizes the ONNX files."""
    from export.onnx import compose
    from export.quantize.onnx import quantize_onnx

    for part in PARTS:
        samples = list(_calibration(folders["golden"], part))
        source = folders["onnx"] / f"{part}_fp32.onnx"
        quantize_onnx(source, part, request.plan.onnx, samples, out / f"{part}.onnx")
    compose({part: out / f"{part}.onnx" for part in PARTS}, out / "encoder.onnx")


def make_parity(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Measures every engine, precision and signature against the golden vectors."""
    from export.budgets import PARITY
    from export.bundle import MODEL_FILES
    from runtime.parity import load_golden, measure_files

    tensors = tensors_of(request, folders["encoder"])
    golden = load_golden(folders["golden"] / "golden.npz", tensors)
    with _side_by_side(folders, out, {name: entry["step"] for name, entry in MODEL_FILES.items()}):
        rows = measure_files(out, MODEL_FILES, tensors, golden, PARITY, threads=1)
    (out / "parity.json").write_text(json.dumps([asdict(row) for row in rows]))


def run_ahead(request: Request, folders: Mapping[str, Path], out: Path, *, source: str) -> None:
    """Runs the .tflite of the step `source` on the test split, for `quality` to find; writes nothing here."""
    from export.quality.step import run_engine

    with _models(request, folders, out, source) as models:
        (entry,) = models.files.values()
        run_engine(models, _weights(folders), (entry["engine"], entry["precision"]))


def make_quality(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Measures what the .tflite files are worth on the test split, where that can be said."""
    from export.quality.step import write_quality

    with _models(request, folders, out, "tflite", "tflite_int8") as models:
        write_quality(out, models, _weights(folders))


def make_arm64(request: Request, folders: Mapping[str, Path], out: Path) -> None:
    """Runs the shipped file on the emulated phones, where the emulator is set up."""
    from export import arm64
    from export.arm64.report import SHIPPED
    from export.budgets import limits
    from export.bundle import MODEL_FILES
    from runtime.bundle import Bundle, file_sha256, select_files
    from runtime.parity import GOLDEN

    report = None
    if arm64.available():
        shipped = set(select_files(MODEL_FILES, *SHIPPED).values())
        steps = {GOLDEN: "golden"} | {name: MODEL_FILES[name]["step"] for name in shipped}
        with _side_by_side(folders, out, steps):
            files = {name: {"sha256": file_sha256(out / name)} | MODEL_FILES.get(name, {}) for name in steps}
            manifest = {"preset": request.preset, "limits": limits(), "files": files}
            bundle = Bundle(out, manifest, tensors_of(request, folders["encoder"]))
            report = arm64.measure(bundle, models=[SHIPPED]).to_dict()
    (out / "arm64.json").write_text(json.dumps(report))


MODEL_CODE = ("encoder/*.py",)
VOCABULARIES = ("encoder/assets/vocab.txt", "encoder/assets/byte_bpe/*")
TRACED_CODE = (*MODEL_CODE, "runtime/bundle.py", "export/views.py", "export/rewrites/*.py")
INPUT_CODE = (
    "export/calibration.py",
    "calibration_data/samples.py",
    "runtime/preprocess.py",
    "runtime/tokenizer*.py",
    "runtime/bpe.py",
    "runtime/*.tsv",
    "encoder/text.py",
    "encoder/tokenizers.py",
    *VOCABULARIES,
)
QUANTIZE_CODE = ("export/quantize/*.py", "export/onnx.py")
PARITY_CODE = ("runtime/*.py", "export/budgets.py")
ARM64_CODE = ("runtime/*.py", "export/budgets.py", "export/arm64/**/*.py", "export/arm64/*.toml",
              "export/arm64/*.c", "export/arm64/*.txt")  # fmt: skip
QUALITY_CODE = (
    "export/calibration.py",
    "runtime/*.py",
    "runtime/*.tsv",
    "export/quality/*.py",
    "export/quality/*.json",
    "encoder/text.py",
    "encoder/tokenizers.py",
    *VOCABULARIES,
    "calibration_data/samples.py",
    "calibration_data/test_split/**/*",
)

STEPS: tuple[Step, ...] = (
    Step("encoder", "build the encoder, find weights", (), MODEL_CODE, make_encoder),
    Step("tflite", "convert: TFLite, float", ("encoder",), (*TRACED_CODE, "export/tflite.py"), make_tflite),
    Step("inputs", "preprocess and tokenize screens", (), INPUT_CODE, make_inputs),
    Step("golden", "golden vectors from PyTorch", ("encoder", "inputs"),
         (*MODEL_CODE, "export/golden.py", "export/views.py"), make_golden),
    Step("onnx", "convert: ONNX, float", ("encoder",), (*TRACED_CODE, "export/onnx.py"), make_onnx),
    Step("onnx_int8", "calibrate and quantize: ONNX", ("golden", "onnx"), QUANTIZE_CODE, make_onnx_int8),
    Step("tflite_int8", "calibrate and quantize: TFLite", ("golden", "tflite"),
         QUANTIZE_CODE, make_tflite_int8),
    Step("reference", "quality: run the float file", ("encoder", "golden", "tflite"),
         QUALITY_CODE, functools.partial(run_ahead, source="tflite")),
    Step("parity", "parity with PyTorch", ("encoder", "golden", "tflite", "tflite_int8", "onnx", "onnx_int8"),
         PARITY_CODE, make_parity),
    Step("shipped", "quality: run INT8", ("encoder", "golden", "tflite_int8"),
         QUALITY_CODE, functools.partial(run_ahead, source="tflite_int8")),
    Step("quality", "quality: figures, pictures",
         ("encoder", "golden", "tflite_int8", "reference", "shipped"), QUALITY_CODE, make_quality),
    Step("arm64", "count and compare on ARM64", ("encoder", "golden", "tflite_int8"), ARM64_CODE, make_arm64),
)  # fmt: skip
"""Each after what it needs; of those that are ready the first starts first, two run side by side."""


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of an .npz."""
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def tensors_of(request: Request, folder: Path) -> dict[str, TensorSpec]:
    """Returns the public tensors of an export, by name, given the folder of its step `encoder`."""
    facts = json.loads((folder / "encoder.json").read_text())
    return tensor_specs(request.config.to_dict(), facts["mask_size"])


def _weights(folders: Mapping[str, Path]) -> dict[str, str]:
    return json.loads((folders["encoder"] / "encoder.json").read_text())["weights"]


@contextlib.contextmanager
def _models(request: Request, folders: Mapping[str, Path], out: Path, *steps: str) -> Iterator:
    """Lays the model files of some steps side by side in `out`, with what measuring their quality needs."""
    from encoder.train.text_data import tokenizer_of
    from export.bundle import MODEL_FILES
    from export.calibration import max_user_norm
    from export.quality.outputs import Models

    files = {name: entry for name, entry in MODEL_FILES.items() if entry["step"] in steps}
    golden = read_arrays(folders["golden"] / "golden.npz")
    tensors = tensors_of(request, folders["encoder"])
    with _side_by_side(folders, out, {name: entry["step"] for name, entry in files.items()}):
        tower = functools.partial(_text_tokens, request, folders["encoder"])
        norm = max_user_norm(request.samples)
        yield Models(out, files, tensors, tokenizer_of(request.config), golden, norm, tower)


@contextlib.contextmanager
def _side_by_side(folders: Mapping[str, Path], out: Path, steps: Mapping[str, str]) -> Iterator[None]:
    """Links files, name -> the step that wrote it, into one folder, and takes them away again."""
    from export.bundle import link

    for name, step in steps.items():
        link(folders[step] / name, out / name)
    yield
    for name in steps:
        (out / name).unlink()


def _calibration(folder: Path, signature: str):
    arrays = read_arrays(folder / "calibration.npz")
    for row in range(len(arrays["image"])):
        yield {name: arrays[name][row : row + 1] for name in SIGNATURES[signature].inputs}


@functools.lru_cache(maxsize=1)
def _load(config, path: Path):
    from encoder.model import build
    from encoder.weights import load_state

    encoder = build(config, settle=False)
    load_state(encoder, path)
    return encoder


def _text_tokens(request: Request, folder: Path, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Maps ids and mask, int32 [B, L], to tokens by PyTorch, float32 [B, 1, D]."""
    import torch

    with torch.inference_mode():
        return _encoder(request, folder).encode_text(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()


def _encoder(request: Request, folder: Path):
    return _load(request.config, folder / "encoder.safetensors")


def _rewritten(request: Request, folder: Path):
    from export.rewrites import rewrite

    return rewrite(_encoder(request, folder))
