"""Writes ONNX files: one a signature, simplified, tensors by their public names; and the whole of them."""

from __future__ import annotations

from pathlib import Path

import torch

from encoder.config import EncoderConfig
from encoder.model import Encoder
from export.convert.any_length import TEXT
from export.convert.tflite import quiet
from export.convert.wrappers import WRAPPERS, example_inputs
from export.passes.text_rows import TextRows
from export.patches import without_pair_rules
from runtime.bundle import PARTS, REGION_MASKS, SIGNATURES, signatures

OPSET = 18


def write_onnx(encoder: Encoder, config: EncoderConfig, signature: str, path: Path) -> None:
    """Exports one signature through torch.onnx and simplifies it with onnxsim.

    Texts may have any length up to the config's where their tower allows it.

    Args:
        encoder: in evaluation mode, with its rewrites applied.
        config: of the encoder; it gives the shapes.
        signature: one of `runtime.bundle.SIGNATURES`.
        path: the file to write; the weights are inside it.

    Raises:
        RuntimeError: onnxsim's result does not compute the same.
    """
    import onnx
    import onnxsim
    from onnxscript import optimizer

    names = signatures(masks=encoder.mask_size is not None)[signature]
    shapes = None
    if signature == TEXT and isinstance(encoder.text, TextRows):
        shapes = {name: {1: torch.export.Dim("length", max=config.text_max_length)} for name in names.inputs}
    with torch.no_grad(), quiet():
        program = torch.onnx.export(
            WRAPPERS[signature](encoder).eval(),
            kwargs=example_inputs(config, signature),
            input_names=list(names.inputs),
            output_names=list(names.outputs),
            opset_version=OPSET,
            dynamic_shapes=shapes,
            dynamo=True,
            verbose=False,
            optimize=False,
        )
        with without_pair_rules():  # a second iteration, torch's default, finds nothing more
            optimizer.optimize(program.model, num_iterations=1)
        model, same = onnxsim.simplify(program.model_proto)
    if not same:
        raise RuntimeError(f"onnxsim changed what {signature} computes; nothing was written")
    _drop_provenance(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def compose(parts: dict[str, Path], path: Path) -> None:
    """Joins `vision`, `text` and `fuse` into the one file that serves `encode`.

    The whole computes exactly what the parts do, in float and in INT8, because it is made of the same nodes.

    Args:
        parts: the three files by signature.
        path: the file to write.
    """
    import onnx
    from onnx.compose import add_prefix, merge_models

    vision, text, fuse = (_prefixed(onnx.load(parts[part]), part, add_prefix) for part in PARTS)
    tokens = ["screen_tokens", "text_token"]
    masked = any(output.name == REGION_MASKS for output in vision.graph.output)
    # Who encodes as a whole has no use for masks; what computes them alone goes with them.
    context = merge_models(vision, text, io_map=[], outputs=tokens if masked else None)
    joints = [(name, name) for name in tokens]
    whole = merge_models(context, fuse, io_map=joints, name="encode")
    order = {name: rank for rank, name in enumerate(SIGNATURES["encode"].inputs)}
    inputs = sorted(whole.graph.input, key=lambda item: order[item.name])
    del whole.graph.input[:]
    whole.graph.input.extend(inputs)
    versions = {entry.domain: entry.version for entry in whole.opset_import}  # each part names its own
    del whole.opset_import[:]
    whole.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in versions.items())
    onnx.checker.check_model(whole)
    onnx.save(whole, path)


def _prefixed(model, part: str, add_prefix):
    """Makes the inner names of a part its own; inputs and outputs keep their public names."""
    return add_prefix(model, prefix=f"{part}/", rename_inputs=False, rename_outputs=False)


def _drop_provenance(model) -> None:
    """Removes stack traces and source paths, which differ between machines."""
    for item in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        item.ClearField("doc_string")
        del item.metadata_props[:]
    for tensor in model.graph.initializer:
        tensor.ClearField("doc_string")
        del tensor.metadata_props[:]
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
