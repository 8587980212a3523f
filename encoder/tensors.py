"""Reading tensors from safetensors, the only format that is read, and seeing whether they fit a module."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from runtime.provenance import WeightsError


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Reads all tensors of a file, by name.

    Raises:
        WeightsError: it is missing, damaged, or no safetensors file.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error})") from error


def load_tensors(module: nn.Module, state: Mapping[str, Tensor], path: Path, *, of: str = "encoder") -> None:
    """Gives a module all its tensors, of any float precision; changes nothing where they do not fit.

    Args:
        module: changed in place.
        state: tensors by the module's own names.
        path: where they were read, and
        of: what the module is, for the message.

    Raises:
        WeightsError: tensors that are missing, unknown or of another shape.
    """
    expected = module.state_dict()
    refuse(misfits(state, expected), path, of)
    module.load_state_dict({name: tensor.to(expected[name].dtype) for name, tensor in state.items()})


def misfits(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """Lists the tensors that are missing, unknown or of another shape than expected, a phrase each."""
    problems = [f"{name} is missing" for name in expected if name not in state]
    problems += [f"{name} is unknown" for name in state if name not in expected]
    return problems + [
        f"{name} is {list(tensor.shape)}, not {list(expected[name].shape)}"
        for name, tensor in state.items()
        if name in expected and tensor.shape != expected[name].shape
    ]


def refuse(problems: list[str], path: Path, of: str) -> None:
    """Raises WeightsError where there are problems, and tells the first of them."""
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise WeightsError(f"{path}: weights of another {of}: {shown}")
