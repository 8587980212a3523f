"""The steps of an export, in order. Each reads earlier steps' files and writes its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: of the step and of its folder in the cache.
        title: what the terminal shows.
        needs: steps whose files it reads.
        uses: what else decides its result, keys of `Request.inputs`; `evaluation.sources` finds its code.
        run: `module:function`, called in a worker with the request, the folders of the needed steps by name,
            and its own folder.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    uses: tuple[str, ...]
    run: str

    @property
    def module(self) -> str:
        """Dotted name of the module that does it."""
        return self.run.partition(":")[0]


STEPS: tuple[Step, ...] = (
    Step("encoder", "build the encoder, load weights", (), ("config", "seed", "sources"),
         "export.steps.encoder:make_encoder"),
    Step("tflite", "convert: TFLite, float", ("encoder",), (), "export.steps.tflite:make_tflite"),
    Step("inputs", "preprocess and tokenize screens", (), ("config", "samples"),
         "export.steps.inputs:make_inputs"),
    Step("golden", "golden vectors from PyTorch", ("encoder", "inputs"), (),
         "export.steps.golden:make_golden"),
    Step("onnx", "convert: ONNX, float", ("encoder",), (), "export.steps.onnx:make_onnx"),
    Step("onnx_recipe", "find the recipe: ONNX", ("golden", "onnx"), ("recipe",),
         "export.steps.recipe:find_onnx"),
    Step("tflite_recipe", "find the recipe: TFLite", ("golden", "tflite"), ("recipe",),
         "export.steps.recipe:find_tflite"),
    Step("onnx_int8", "calibrate and quantize: ONNX", ("golden", "onnx", "onnx_recipe"), (),
         "export.steps.onnx_int8:make_onnx_int8"),
    Step("tflite_int8", "calibrate and quantize: TFLite", ("golden", "tflite", "tflite_recipe"),
         ("keep_names",),
         "export.steps.tflite_int8:make_tflite_int8"),
    Step("reference", "quality: run the float file", ("encoder", "golden", "tflite"), ("samples",),
         "export.steps.quality:run_float"),
    Step("parity", "parity with PyTorch", ("encoder", "golden", "tflite", "tflite_int8", "onnx", "onnx_int8"),
         (), "export.steps.parity:make_parity"),
    Step("shipped", "quality: run TFLite, INT8", ("encoder", "golden", "tflite_int8"), ("samples",),
         "export.steps.quality:run_int8"),
    Step("shipped_onnx", "quality: run ONNX, INT8", ("encoder", "golden", "onnx_int8"), ("samples",),
         "export.steps.quality:run_onnx_int8"),
    Step("quality", "quality: figures, pictures",
         ("encoder", "golden", "reference", "shipped", "shipped_onnx"), ("samples",),
         "export.steps.quality:make_quality"),
    Step("memory", "private memory, this host", ("encoder", "tflite_int8"), (),
         "export.steps.memory:make_memory"),
    Step("arm64", "count and compare on ARM64",
         ("encoder", "golden", "tflite", "tflite_recipe", "tflite_int8"), ("preset", "recipe"),
         "export.steps.arm64:make_arm64"),
)  # fmt: skip
"""Each after what it needs; of those that are ready the first starts first, two run side by side."""
