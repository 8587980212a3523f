"""ExecuTorch: .pte programs for its XNNPACK backend, one a part, in float and in INT8."""

from __future__ import annotations

from pathlib import Path

from benchmarks.baselines.job import Job
from runtime.bundle import PARTS, SIGNATURES


def export(job: Job) -> dict[str, Path]:
    """Exports each part, quantizes it where the variant says so, and lowers it to XNNPACK."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    from export.convert.wrappers import WRAPPERS, example_inputs

    encoder, files = job.encoder(), {}
    for part in PARTS:
        inputs = example_inputs(job.encoder_config(), part)
        arguments = tuple(inputs[name] for name in SIGNATURES[part].inputs)
        module = WRAPPERS[part](encoder).eval()
        with torch.no_grad():
            if job.variant == "int8":
                module = _quantized(module, arguments, job.samples(part))
            program = torch.export.export(module, arguments)
            lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        files[part] = job.out / f"{part}.pte"
        files[part].write_bytes(lowered.to_executorch().buffer)
    return files


def _quantized(module, arguments: tuple, samples: list[dict]):
    """PT2E: annotates for XNNPACK, calibrates, converts."""
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(torch.export.export(module, arguments).module(), quantizer)
    for sample in samples:
        prepared(*(torch.from_numpy(array) for array in sample.values()))
    return convert_pt2e(prepared)
