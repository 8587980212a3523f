"""Makes tests/data/tiny_bundle: a bundle of real model files, small enough to commit.

The models are seeded toys with the public names and shapes; only their size is unlike the real ones.
Run: python -m tests.runtime.make_tiny_bundle (needs torch, litert-torch, onnxruntime, ai-edge-quantizer)
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from runtime.bundle import PARTS, SIGNATURES, file_sha256, tensor_specs
from runtime.manifest import SCHEMA_VERSION, write_manifest
from runtime.preprocess import resize_screenshot
from runtime.tokenizer import SPECIAL_TOKENS, WordPieceTokenizer
from tests.made_weights import weights_entry

TARGET = Path(__file__).parents[1] / "data" / "tiny_bundle"
CONFIG = {"image_size": [256, 128], "text_max_length": 64, "user_embed_dim": 64, "text_projection_dim": 256}
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = [
    "see",
    "you",
    "at",
    "the",
    "hello",
    "world",
    "mail",
    "search",
    "settings",
    "password",
    ".com",
    "##ing",
]
TEXTS = ["see you at", "hello world", "", "the mails 42 ?!"]


class Vision(nn.Module):
    """image -> screen_tokens, from the mean colours of the whole and of four bands."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(3, 256)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Maps uint8 [1, 256, 128, 3] to float32 [1, 5, 256]."""
        pixels = image.to(torch.float32) / 255
        rows = pixels.mean(2)  # [1, 256, 3]
        bands = rows.reshape(1, 4, 64, 3).mean(2)  # [1, 4, 3]
        whole = bands.mean(1)[:, None]  # [1, 1, 3]
        return {"screen_tokens": torch.tanh(self.project(torch.cat([whole, bands], 1) - 0.5) * 3)}


class Text(nn.Module):
    """(input_ids, attention_mask) -> text_token, the mean of small embeddings."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.table = nn.Embedding(words, 4)
        self.project = nn.Linear(4, 256)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Maps int32 [1, 64] twice to float32 [1, 1, 256]."""
        mask = attention_mask.to(torch.float32)[:, :, None]  # [1, 64, 1]
        vectors = self.table.weight.index_select(0, input_ids[0])[None]  # [1, 64, 4]
        mean = (vectors * mask).sum(1) / mask.sum(1)  # [1, 4]
        return {"text_token": torch.tanh(self.project(mean))[:, None]}


class Fuse(nn.Module):
    """(screen_tokens, text_token, user) -> embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(4, 256)

    def forward(self, screen_tokens: Tensor, text_token: Tensor, user: Tensor) -> dict[str, Tensor]:
        """Maps float32 [1, 5, 256], [1, 1, 256] and [1, 64] to float32 [1, 256]."""
        tokens = torch.cat([screen_tokens, text_token], 1)  # [1, 6, 256]
        mixed = tokens.mean(1) + self.project(user.reshape(1, 4, 16).mean(2))
        return {"embedding": nn.functional.normalize(mixed, dim=1)}


class Encode(nn.Module):
    """The three in one."""

    def __init__(self, parts: dict[str, nn.Module]) -> None:
        super().__init__()
        self.vision, self.text, self.fuse = (parts[name] for name in PARTS)

    def forward(
        self, image: Tensor, input_ids: Tensor, attention_mask: Tensor, user: Tensor
    ) -> dict[str, Tensor]:
        """Maps the public inputs to float32 [1, 256]."""
        return self.fuse(**self.vision(image), **self.text(input_ids, attention_mask), user=user)


def build_modules(words: int) -> dict[str, nn.Module]:
    """Seeded modules by signature."""
    torch.manual_seed(7)
    parts = {"vision": Vision(), "text": Text(words), "fuse": Fuse()}
    return {name: module.eval() for name, module in (parts | {"encode": Encode(parts)}).items()}


def golden_inputs(vocab: Path) -> dict[str, np.ndarray]:
    """Four samples: blocks of colour that compress well, short texts, user vectors."""
    random = np.random.default_rng(7)
    blocks = [random.integers(0, 256, (8, 2, 3), dtype=np.uint8) for _ in TEXTS]
    tokens = [WordPieceTokenizer(vocab, 64).encode(text) for text in TEXTS]
    return {
        "image": np.stack([resize_screenshot(block, (256, 128)) for block in blocks]),
        "input_ids": np.stack([ids for ids, _ in tokens]),
        "attention_mask": np.stack([mask for _, mask in tokens]),
        "user": random.normal(scale=1 / 8, size=(len(TEXTS), 64)).astype(np.float32),
    }


def golden_outputs(modules: dict[str, nn.Module], inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """PyTorch's outputs for each sample, by tensor name."""
    rows: dict[str, list[np.ndarray]] = {"screen_tokens": [], "text_token": [], "embedding": []}
    for number in range(len(inputs["image"])):
        known = {name: torch.from_numpy(array[number : number + 1]) for name, array in inputs.items()}
        for part in PARTS:
            with torch.no_grad():
                known |= modules[part](**{name: known[name] for name in SIGNATURES[part].inputs})
        for name, kept in rows.items():
            kept.append(known[name].numpy()[0])
    return {name: np.stack(kept) for name, kept in rows.items()}


def write_models(folder: Path, modules: dict[str, nn.Module]) -> dict[str, dict]:
    """Writes the .tflite and .onnx files, fp32 and INT8 weights; returns their manifest entries."""
    import litert_torch
    from ai_edge_quantizer import quantizer, recipe
    from onnxruntime.quantization import QuantType, quantize_dynamic

    samples = {name: _sample(spec) for name, spec in tensor_specs(CONFIG).items()}
    converter, entries = litert_torch, {}
    for name, (inputs, outputs) in SIGNATURES.items():
        feeds = {tensor: samples[tensor] for tensor in inputs}
        if name in PARTS:
            converter = converter.signature(name, modules[name], sample_kwargs=feeds)
        stem = "encoder" if name == "encode" else name
        torch.onnx.export(
            modules[name], kwargs=feeds, f=str(folder / f"{stem}_fp32.onnx"), dynamo=True, external_data=False,
            input_names=list(inputs), output_names=list(outputs), opset_version=18,
        )  # fmt: skip
        quantize_dynamic(
            folder / f"{stem}_fp32.onnx",
            folder / f"{stem}.onnx",
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        for precision, file in (("fp32", f"{stem}_fp32.onnx"), ("int8", f"{stem}.onnx")):
            _strip(folder / file)
            entries[file] = {"engine": "onnx", "precision": precision, "signatures": [name]}
    converter.convert().export(str(folder / "encoder_fp32.tflite"))
    quantized = quantizer.Quantizer(str(folder / "encoder_fp32.tflite"), recipe.dynamic_wi8_afp32())
    quantized.quantize().export_model(str(folder / "encoder.tflite"))
    for precision, file in (("fp32", "encoder_fp32.tflite"), ("int8", "encoder.tflite")):
        entries[file] = {"engine": "tflite", "precision": precision, "signatures": list(PARTS)}
    return entries


def _sample(spec: tuple[str, tuple[int, ...]]) -> Tensor:
    dtype, shape = spec
    return torch.ones(shape, dtype=getattr(torch, dtype))


def _strip(path: Path) -> None:
    """Removes what torch.onnx records about the exporting machine."""
    import onnx

    model = onnx.load(path)
    for item in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        item.ClearField("doc_string")
        del item.metadata_props[:]
    onnx.save(model, path)


def describe(folder: Path, entries: dict[str, dict]) -> dict[str, Any]:
    """The manifest over the files in the folder."""
    specs = tensor_specs(CONFIG)
    for path in folder.iterdir():
        path.chmod(0o644)
    files = {
        path.name: {"sha256": file_sha256(path), "bytes": path.stat().st_size, **entries.get(path.name, {})}
        for path in sorted(folder.iterdir())
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "preset": "tiny",
        "config": CONFIG,
        "weights": weights_entry("random"),
        "tensors": {name: {"dtype": dtype, "shape": list(shape)} for name, (dtype, shape) in specs.items()},
        "signatures": {
            n: {"inputs": list(s.inputs), "outputs": list(s.outputs)} for n, s in SIGNATURES.items()
        },
        "preprocessing": {
            "image": {"method": "area_integer", "size": [256, 128], "channels": "RGB"},
            "user": {"method": "bound_norm", "max_norm": 1.22},
        },
        "tokenizer": {
            "type": "wordpiece",
            "vocab": "vocab.txt",
            "lowercase": True,
            "max_length": 64,
            "truncation": "left",
        },
        "files": files,
        "limits": {
            "parity": {"fp32": {"max_abs": 1e-4}, "int8": {"cosine_min": 0.99, "self_retrieval": 1.0}}
        },
    }


def main() -> None:
    """Writes the bundle whole."""
    TARGET.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TARGET.parent) as temporary:
        folder = Path(temporary) / TARGET.name
        folder.mkdir()
        pieces = [*SPECIAL_TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS), *".,?!", *WORDS]
        (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
        modules = build_modules(len(pieces))
        entries = write_models(folder, modules)
        inputs = golden_inputs(folder / "vocab.txt")
        np.savez_compressed(folder / "golden.npz", **inputs, **golden_outputs(modules, inputs))
        write_manifest(folder, describe(folder, entries))
        shutil.rmtree(TARGET, ignore_errors=True)
        os.replace(folder, TARGET)


if __name__ == "__main__":
    main()
