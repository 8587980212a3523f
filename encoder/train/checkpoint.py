"""A run's whole state in one safetensors file, replaced atomically; the one before stays beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from encoder.train import TrainError

CHECKPOINT, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"
_KEY = "training"


def write_file(path: Path, data: bytes) -> None:
    """Writes a file beside its place, flushes it to the disk, then moves it there.

    Raises:
        TrainError: it cannot be written, such as on a full disk; what was there stays.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(unfinished, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise TrainError(f"{path}: cannot be written: {error.strerror}; what was there is kept") from error


def save_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Saves tensors, and facts that JSON can hold, as one safetensors file.

    Raises:
        TrainError: it cannot be written.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_file(path, save(whole, {_KEY: json.dumps(facts)}))


def save_checkpoint(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Saves a checkpoint; the last good one becomes the previous one only once the new one is whole.

    Raises:
        TrainError: it cannot be written; both older ones are kept.
    """
    path, unfinished = folder / CHECKPOINT, folder / f".new.{CHECKPOINT}"
    save_tensors(unfinished, tensors, facts)
    if path.is_file():
        os.replace(path, folder / PREVIOUS)
    os.replace(unfinished, path)


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Loads the newest checkpoint that is whole: tensors by name, and the facts; None if there is none.

    Raises:
        TrainError: there are checkpoints, but none can be read.
    """
    return _newest(folder, lambda file: {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118


def checkpoint_facts(folder: Path) -> dict[str, Any] | None:
    """Reads only the facts of the newest checkpoint; None if there is none.

    Raises:
        TrainError: there are checkpoints, but none can be read.
    """
    found = _newest(folder, lambda file: None)
    return None if found is None else found[1]


def _newest(folder: Path, read: Callable) -> tuple[Any, dict[str, Any]] | None:
    problems = []
    for name in (CHECKPOINT, PREVIOUS):
        path = folder / name
        if not path.is_file():
            continue
        try:
            with safe_open(path, "pt") as file:
                return read(file), json.loads((file.metadata() or {})[_KEY])
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            problems.append(f"{path}: not a readable checkpoint ({error})")
    if problems:
        raise TrainError(f"{'; '.join(problems)}; remove {folder} to start again")
    return None


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Returns the tensors of one part, such as `ema`, without its name."""
    return {
        name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{prefix}.")
    }


def load_part(module: torch.nn.Module, tensors: Mapping[str, Tensor], prefix: str, where: Path) -> None:
    """Loads one part of a checkpoint into a module.

    Raises:
        TrainError: it is of another model; the message names the tensors that differ.
    """
    state, expected = part(tensors, prefix), module.state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    wanted = {name: tuple(value.shape) for name, value in expected.items()}
    different = sorted(name for name in shapes.keys() | wanted.keys() if shapes.get(name) != wanted.get(name))
    if different:
        pairs = "; ".join(
            f"{name} was {shapes.get(name, 'absent')}, now {wanted.get(name, 'absent')}"
            for name in different[:5]
        )
        raise TrainError(f"{where}: is of another model: {pairs}; choose another --out")
    module.load_state_dict(state)
