"""Makes tests/data/shared_weights.tflite: one linear layer applied twice, to activations of different scales.

Both applications read one weight tensor, as the steps of an unrolled recurrent layer do.
Run: python -m tests.runtime.make_shared_weights (needs torch, litert-torch, ai-edge-quantizer)
"""

import tempfile
from pathlib import Path

import flatbuffers
import litert_torch
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import quantizer, recipe
from torch import Tensor, nn

TARGET = Path(__file__).parents[1] / "data" / "shared_weights.tflite"
WIDTH = 16


class Twice(nn.Module):
    """x -> layer(tanh(3 layer(x)))."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps float32 [1, WIDTH] to the same."""
        return self.layer(torch.tanh(self.layer(x) * 3))


def main() -> None:
    """Writes the file."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    samples = [{"x": random.normal(size=(1, WIDTH)).astype(np.float32)} for _ in range(16)]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "float.tflite"), Path(folder, "int8.tflite")
        example = {"x": torch.randn(1, WIDTH)}
        litert_torch.signature("main", Twice().eval(), (), example).convert().export(str(source))
        quantized = quantizer.Quantizer(str(source))
        quantized.load_quantization_recipe(recipe.static_wi8_ai8())
        quantized.quantize(quantized.calibrate({"main": samples})).export_model(str(target))
        model = schema.ModelT.InitFromPackedBuf(target.read_bytes(), 0)
    [graph] = model.subgraphs
    first, _, second = graph.operators
    assert np.array_equal(*(model.buffers[graph.tensors[op.inputs[1]].buffer].data for op in (first, second)))
    second.inputs = [second.inputs[0], first.inputs[1], *second.inputs[2:]]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    TARGET.write_bytes(builder.Output())


if __name__ == "__main__":
    main()
