"""Which layers cost the shipped .tflite its accuracy: the noise that each adds to the float values."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.quantize.layers import short_name, walk
from export.quantize.tensor_names import with_tensor_names
from runtime.bundle import PARTS, SIGNATURES

SCREENS = 8


@dataclass(frozen=True)
class LayerError:
    """One operator's noise, as a share of its signal's power, averaged over the screens.

    Attributes:
        signature: that it belongs to.
        layer: its short name.
        operator: its kind.
        precision: as the bundle's plan.json lists it.
        noise: at its output: |INT8 - float|^2 / |float|^2.
        added: the same, less that of its noisiest input; below 0 where it smooths noise out.
    """

    signature: str
    layer: str
    operator: str
    precision: str
    noise: float
    added: float


def layer_errors(
    fp32: Path,
    int8: Path,
    layers: Sequence[Mapping[str, str]],
    golden: Mapping[str, np.ndarray],
    screens: int = SCREENS,
) -> list[LayerError]:
    """Runs both files on parity screens and compares every operator's output.

    Each signature is fed PyTorch's own inputs, so that the noise of one is not counted in the next.

    Args:
        fp32: the float file.
        int8: the file made of it.
        layers: as the bundle's plan.json lists them.
        golden: the parity screens' inputs and PyTorch's outputs.
        screens: how many of them to run.

    Returns:
        The operators in integers, those that add the most noise first; the others only pass noise on.
    """
    noises = _noises(fp32, int8, golden, screens)
    known = {
        (row["signature"], row["layer"], row["operator"]): row["precision"]
        for row in layers
        if row["precision"] != "float"
    }
    found = []
    for part, operator, name, node, graph in walk(fp32):
        layer = short_name(name)
        output = noises[part].get(_name(graph, node.outputs[0]))
        if output is None or (part, layer, operator) not in known:
            continue
        inputs = (noises[part].get(_name(graph, index), 0.0) for index in node.inputs if index >= 0)
        precision = known[part, layer, operator]
        found.append(LayerError(part, layer, operator, precision, output, output - max(inputs, default=0.0)))
    return sorted(found, key=lambda row: -row.added)


def _noises(
    fp32: Path, int8: Path, golden: Mapping[str, np.ndarray], screens: int
) -> dict[str, dict[str, float]]:
    """By signature and tensor, noise as a share of the signal's power; constant tensors are left out."""
    from ai_edge_quantizer.model_validator import compare_model
    from ai_edge_quantizer.utils.validation_utils import ValidationErrorMetric

    rows = range(min(screens, len(golden["image"])))
    data = {
        part: [{name: golden[name][row : row + 1] for name in SIGNATURES[part].inputs} for row in rows]
        for part in PARTS
    }
    metric = ValidationErrorMetric.SNR  # only the name under which the results of _noise are kept
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # keeping every tensor costs memory: that is wanted here
        compared = compare_model(
            fp32.read_bytes(),
            with_tensor_names(int8, fp32),
            data,
            [metric],
            [_noise],
            use_xnnpack=False,
            num_threads=1,
        )
    noises = {}
    for part in PARTS:
        result = compared.get_signature_comparison_result(part)
        tensors = result.intermediate_tensors | result.output_tensors
        noises[part] = {name: values[metric.value] for name, values in tensors.items()}
    return noises


def _noise(values: np.ndarray, reference: np.ndarray) -> float:
    values, reference = np.asarray(values, np.float64), np.asarray(reference, np.float64)
    power = float(np.square(reference).sum())
    return float(np.square(values - reference).sum()) / power if power else 0.0


def _name(graph, index: int) -> str:
    return graph.tensors[index].name.decode()
