"""The tools that a user would pick instead, by the names of their rows.

Each is run as its own documentation tells, on the plain encoder: none of this project's rewrites, plans or
post-processing. `how` is the exact call.
"""

from __future__ import annotations

from dataclasses import dataclass

_AEQ = "Quantizer(float file of litert-torch-fp32).load_quantization_recipe(recipe.{}()){}.quantize()"
_OPTIMUM = "ORTQuantizer.quantize(AutoQuantizationConfig.arm64({})) on the files of onnxruntime-fp32{}"
_PLAIN = "the plain encoder, no rewrite"


@dataclass(frozen=True)
class Baseline:
    """A tool and what is asked of it.

    Attributes:
        name: of the row, and of the folder that keeps its files.
        tool: as its makers call it.
        module: by its full name; its `export(job)` writes the files.
        how: the exact call, for people.
        packages: whose versions decide the files; the first one's is shown.
        variant: tells `export` which of several files to make.
        source: the baseline whose files it starts from.
        environment: the virtual environment that it needs, by its requirements file; None = this one.
    """

    name: str
    tool: str
    module: str
    how: str
    packages: tuple[str, ...]
    variant: str = ""
    source: str | None = None
    environment: str | None = None


_LITERT = ("litert-torch", "litert-converter", "torch", "timm", "transformers")
_QUANTIZER = ("ai-edge-quantizer", "ai-edge-litert")
_ONNX = ("onnxruntime", "onnx", "onnxscript", "onnxsim", "torch", "timm", "transformers")
_OPTIMUM_PACKAGES = ("optimum-onnx", "optimum", "onnxruntime", "onnx")
_EXECUTORCH = ("executorch", "torchao", "torch", "timm", "transformers")

BASELINES: tuple[Baseline, ...] = (
    Baseline("litert-torch-fp32", "litert-torch", "benchmarks.baselines.litert_torch",
         f"litert_torch.signature(vision).signature(text).signature(fuse).convert().export(): {_PLAIN}",
         _LITERT),
    Baseline("litert-torch-fp16", "litert-torch", "benchmarks.baselines.fp16_hint",
         "the file of litert-torch-fp32 with metadata reduced_precision_support = fp16accfp16", _LITERT,
         source="litert-torch-fp32"),
    Baseline("aeq-dynamic-int8", "ai-edge-quantizer", "benchmarks.baselines.ai_edge_quantizer",
         _AEQ.format("dynamic_wi8_afp32", ""), _QUANTIZER, "dynamic_wi8_afp32", "litert-torch-fp32"),
    Baseline("aeq-weight-only-int8", "ai-edge-quantizer", "benchmarks.baselines.ai_edge_quantizer",
         _AEQ.format("weight_only_wi8_afp32", ""), _QUANTIZER, "weight_only_wi8_afp32", "litert-torch-fp32"),
    Baseline("aeq-static-int8", "ai-edge-quantizer", "benchmarks.baselines.ai_edge_quantizer",
         _AEQ.format("static_wi8_ai8", ", NO_QUANTIZE for INPUT and OUTPUT, .calibrate(calibration screens)"),
         _QUANTIZER, "static_wi8_ai8", "litert-torch-fp32"),
    Baseline("onnxruntime-fp32", "ONNX Runtime", "benchmarks.baselines.onnxruntime",
         f"torch.onnx.export(dynamo=True, opset_version=18) and onnxsim.simplify: {_PLAIN}", _ONNX),
    Baseline("optimum-static-int8", "Optimum", "benchmarks.baselines.optimum",
         _OPTIMUM.format("is_static=True, per_channel=True", ", .fit() by min/max, calibration screens"),
         _OPTIMUM_PACKAGES, "static", "onnxruntime-fp32"),
    Baseline("optimum-dynamic-int8", "Optimum", "benchmarks.baselines.optimum",
         _OPTIMUM.format("is_static=False, per_channel=True", ""), _OPTIMUM_PACKAGES, "dynamic",
         "onnxruntime-fp32"),
    Baseline("onnx2tf-fp32", "onnx2tf", "benchmarks.baselines.onnx2tf",
         "onnx2tf -i PART.onnx -kat INPUTS -rtpo erf -osd -coion, on the files of onnxruntime-fp32, "
         "ReduceL2 spelled as the root of a sum of squares",
         ("onnx2tf", "tensorflow"), "fp32", "onnxruntime-fp32", "onnx2tf"),
    Baseline("onnx2tf-int8", "onnx2tf", "benchmarks.baselines.onnx2tf",
         "TFLiteConverter.from_saved_model(of onnx2tf-fp32, its erf included), Optimize.DEFAULT, "
         "TFLITE_BUILTINS_INT8, representative_dataset = the calibration screens",
         ("onnx2tf", "tensorflow"), "int8", "onnx2tf-fp32", "onnx2tf"),
    Baseline("executorch-xnnpack-fp32", "ExecuTorch", "benchmarks.baselines.executorch",
         "to_edge_transform_and_lower(torch.export.export(PART), partitioner=[XnnpackPartitioner()])"
         f".to_executorch(): {_PLAIN}",
         _EXECUTORCH, "fp32", None, "executorch"),
    Baseline("executorch-xnnpack-int8", "ExecuTorch", "benchmarks.baselines.executorch",
         "prepare_pt2e(XNNPACKQuantizer, get_symmetric_quantization_config(is_per_channel=True)), the "
         "calibration screens, convert_pt2e, then as in fp32",
         _EXECUTORCH, "int8", None, "executorch"),
)  # fmt: skip
"""In the order of the table; a source comes before what starts from it."""
