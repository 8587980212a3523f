"""Networks whose times on phones are published: MobileNets at 224x224, random weights, as .tflite files."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from evaluation.arm64.results import digest
from runtime.files import write_atomically

NETWORKS = {
    "MobileNet V1": "mobilenetv1_100",
    "MobileNet V2": "mobilenetv2_100",
    "MobileNet V3-Large": "mobilenetv3_large_100",
    "MobileNet V3-Small": "mobilenetv3_small_100",
}
"""Name in XNNPACK's tables -> timm's architecture (V3 with hard-swish, as published)."""
SIGNATURE = "serving_default"
IMAGE = "image"
_SIZE_PX = 224
_FP16_HINT = ("reduced_precision_support", b"fp16accfp16")


def image(precision: str = "fp32") -> np.ndarray:
    """Returns what a file runs on: noise [1, 224, 224, 3], int8 for an "int8" file, else float32."""
    noise = np.random.default_rng(0).standard_normal((1, _SIZE_PX, _SIZE_PX, 3))
    return (noise * 40).clip(-128, 127).astype(np.int8) if precision == "int8" else noise.astype(np.float32)


def build(network: str, precision: str, folder: Path) -> Path:
    """Returns a network's file, converted where it is not in the folder yet.

    Args:
        network: a key of NETWORKS.
        precision: "fp32"; "fp16", the same with the hint that allows fp16 arithmetic; "int8", static.
        folder: where files are kept.
    """
    tools = [version(name) for name in ("torch", "timm", "litert-torch", "ai-edge-quantizer")]
    path = folder / f"{NETWORKS[network]}_{precision}_{digest(tools)[:8]}.tflite"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: _WRITERS[precision](network, folder, Path(file.name)))
    return path


def _write_fp32(network: str, folder: Path, path: Path) -> None:
    import timm
    import torch

    from export.convert.tflite import quiet

    class ChannelsLast(torch.nn.Module):
        """Takes images as .tflite files do, [N, H, W, C]."""

        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.network(image.permute(0, 3, 1, 2))  # [N, C, H, W]

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import litert_torch

    torch.manual_seed(0)
    module = ChannelsLast(timm.create_model(NETWORKS[network], pretrained=False)).eval()
    with torch.no_grad(), quiet():
        litert_torch.convert(module, sample_kwargs={IMAGE: torch.from_numpy(image())}).export(str(path))


def _write_fp16(network: str, folder: Path, path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(build(network, "fp32", folder)))
    name, value = _FP16_HINT
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(value, np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    flatbuffer_utils.write_model(model, str(path))


def _write_int8(network: str, folder: Path, path: Path) -> None:
    from ai_edge_quantizer import quantizer, recipe

    from export.convert.tflite import quiet

    with quiet():
        engine = quantizer.Quantizer(str(build(network, "fp32", folder)), recipe.static_wi8_ai8())
        ranges = engine.calibrate({SIGNATURE: [{IMAGE: image()}]})
        path.write_bytes(bytes(engine.quantize(ranges).quantized_model))


_WRITERS: dict[str, Callable[[str, Path, Path], None]] = {
    "fp32": _write_fp32,
    "fp16": _write_fp16,
    "int8": _write_int8,
}
