"""ONNX Runtime: float ONNX files of the plain encoder, one a part."""

from __future__ import annotations

from pathlib import Path

from benchmarks.baselines.job import Job
from runtime.bundle import PARTS, SIGNATURES

OPSET = 18


def export(job: Job) -> dict[str, Path]:
    """Exports and simplifies; ONNX Runtime's own graph optimizations come when it opens a file.

    Raises:
        RuntimeError: onnxsim's result does not compute the same.
    """
    import onnx
    import onnxsim
    import torch

    from export.convert.wrappers import WRAPPERS, example_inputs

    encoder, files = job.encoder(), {}
    for part in PARTS:
        with torch.no_grad():
            program = torch.onnx.export(
                WRAPPERS[part](encoder).eval(),
                kwargs=example_inputs(job.encoder_config(), part),
                input_names=list(SIGNATURES[part].inputs),
                output_names=list(SIGNATURES[part].outputs),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
        model, same = onnxsim.simplify(program.model_proto)
        if not same:
            raise RuntimeError(f"onnxsim changed what {part} computes")
        files[part] = job.out / f"{part}.onnx"
        onnx.save(model, files[part])
    return files
