"""onnx2tf: .tflite files from the float ONNX files, one a part, in float and in INT8."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from benchmarks.baselines.job import Job
from runtime.bundle import PARTS, SIGNATURES

SAVED_MODEL = "{}_saved_model"
_SIGNATURE = "serving_default"


def export(job: Job) -> dict[str, Path]:
    """Converts the float ONNX files, or makes INT8 of what that left; returns a file a part."""
    return _float(job) if job.variant == "fp32" else _int8(job)


def _float(job: Job) -> dict[str, Path]:
    import onnx2tf

    os.chdir(job.out)  # where it looks for its images first
    _write_images(job)
    files = {}
    for part in PARTS:
        folder = job.out / SAVED_MODEL.format(part)
        onnx2tf.convert(
            input_onnx_file_path=str(_readable(job.sources[part], job.out)),
            output_folder_path=str(folder),
            keep_shape_absolutely_input_names=list(SIGNATURES[part].inputs),
            replace_to_pseudo_operators=["erf"],  # TensorFlow's own is no operator of LiteRT
            output_signaturedefs=True,
            copy_onnx_input_output_names_to_tflite=True,
            verbosity="error",
        )
        files[part] = job.out / f"{part}.tflite"
        files[part].write_bytes(_renamed((folder / f"{part}_float32.tflite").read_bytes(), part))
    return files


def _int8(job: Job) -> dict[str, Path]:
    """Quantizes the saved models.

    onnx2tf's own INT8 option feeds float32 alone, and the encoder takes bytes and integer ids: the saved
    models go to TensorFlow's converter, which is what that option calls.
    """
    files = {}
    for part in PARTS:
        folder = job.sources[part].parent / SAVED_MODEL.format(part)
        files[part] = job.out / f"{part}.tflite"
        files[part].write_bytes(_renamed(_quantized(folder, job.samples(part)), part))
    return files


def _readable(source: Path, folder: Path) -> Path:
    """Spells ReduceL2 as the root of the sum of squares: this onnx2tf stops at the former."""
    import onnx

    model, nodes = onnx.load(source), []
    for node in model.graph.node:
        if node.op_type != "ReduceL2":
            nodes.append(node)
            continue
        vector, *axes = node.input
        square, total = f"{node.name}/square", f"{node.name}/sum"
        reduced = onnx.helper.make_node("ReduceSum", [square, *axes], [total], name=total)
        reduced.attribute.extend(node.attribute)
        nodes.append(onnx.helper.make_node("Mul", [vector, vector], [square], name=square))
        nodes += [reduced, onnx.helper.make_node("Sqrt", [total], node.output, name=node.name)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, folder / source.name)
    return folder / source.name


def _write_images(job: Job) -> None:
    """Puts calibration screens where onnx2tf would download 20 photographs to compare its layers on."""
    screens = np.concatenate([sample["image"] for sample in job.samples("vision")[:20]])  # [20, H, W, 3]
    rows, columns = (np.linspace(0, size - 1, 128).round().astype(int) for size in screens.shape[1:3])
    images = screens[:, rows][:, :, columns].astype(np.float32) / 255  # [20, 128, 128, 3]
    np.save("calibration_image_sample_data_20x128x128x3_float32.npy", images)


def _quantized(folder: Path, samples: list[dict]) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[_SIGNATURE])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter([(_SIGNATURE, sample) for sample in samples])
    builtins = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    converter.target_spec.supported_ops = builtins
    return converter.convert()


def _renamed(model: bytes, part: str) -> bytes:
    """Names signature and output as the part's, so that one worker runs every file; inputs are named so."""
    from ai_edge_litert.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    for signature in parsed.signatureDefs:
        signature.signatureKey = part
        for output, name in zip(signature.outputs, SIGNATURES[part].outputs, strict=True):
            output.name = name
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))
