"""Pruning: a preset's encoder cut to a budget of parameters, which then learns from the whole one.

How small is a ladder of sizes from mild to hard; the first that meets the budget is taken.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from encoder.config import PRESETS, EncoderConfig, preset
from encoder.model import Encoder, build
from encoder.modules.global_view import MobileClip
from encoder.modules.text import MiniLm
from encoder.tokenizers import tokenizer_of
from encoder.train import TrainError
from encoder.train.checkpoint import save_tensors, write_file
from encoder.train.options import STAGES, Options, refuse_differences
from encoder.train.prune import check_prunable, prunable_keys
from encoder.train.pruned_towers import cut_minilm, cut_mobileclip
from encoder.train.run import Run, file_digest
from encoder.train.text_data import token_ids, training_texts
from encoder.weights import load_state, load_trained
from runtime.terminal import table

PRUNED, CONFIG, FACTS = "pruned.safetensors", "config.json", "pruning.json"
"""What pruning leaves in the run's folder: weights that nothing has been learned with yet, the encoder's
config, and, written last, what both were made from."""
MOST_TEXTS = 20_000
"""Texts that say which words are common."""


@dataclass(frozen=True)
class Size:
    """A step of the ladder: what `EncoderConfig` calls by the same names."""

    text_layers: int
    text_ffn_dim: int
    text_embedding_rank: int
    global_width: int


LADDER = (
    Size(text_layers=6, text_ffn_dim=768, text_embedding_rank=128, global_width=48),
    Size(text_layers=4, text_ffn_dim=768, text_embedding_rank=96, global_width=40),
    Size(text_layers=3, text_ffn_dim=384, text_embedding_rank=56, global_width=24),
    Size(text_layers=2, text_ffn_dim=384, text_embedding_rank=48, global_width=24),
    Size(text_layers=2, text_ffn_dim=256, text_embedding_rank=32, global_width=16),
)
"""From mild to hard: `high_performance` has 38.3 M parameters, and pruned 22.2, 17.0, 10.9, 9.8 or 8.2."""


def pruned_config(config: EncoderConfig, budget: int) -> EncoderConfig:
    """Returns the config of the mildest pruning that has fewer parameters than the budget.

    Raises:
        TrainError: nothing in it can be pruned, it is pruned already, or no pruning meets the budget.
    """
    check_prunable(config)
    keys, reached = prunable_keys(config), 0
    for size in LADDER:
        found = replace(config, **{key: value for key, value in asdict(size).items() if key in keys})
        reached = sum(parameters(found).values())
        if reached < budget:
            return found
    raise TrainError(
        f"a budget of {budget:,} parameters cannot be reached: the hardest pruning leaves {reached:,}"
    )


@functools.cache
def parameters(config: EncoderConfig) -> dict[str, int]:
    """Counts the parameters of each part of an encoder, without giving it values."""
    with torch.device("meta"):
        parts = build(config).named_children()
    return {name: sum(value.numel() for value in part.parameters()) for name, part in parts}


class PruningRun(Run):
    """Prunes a preset's encoder, then trains what is left with the whole one as its teacher.

    Args:
        options: of the run; `preset` is the whole encoder, `init` its safetensors file, or "" for its
            committed checkpoint.
        budget: parameters that the pruned encoder has to stay below.
        weights: of the whole encoder, as `whole_weights` finds them.
        out, console, more: as in `Run`.

    Raises:
        TrainError: the preset cannot be pruned, or not to the budget.
    """

    def __init__(
        self, options: Options, budget: int, weights: Path, out: Path, console: Console, **more: Any
    ):
        self.whole, self.file = preset(options.preset), weights
        config = pruned_config(self.whole, budget)
        teacher = f"{options.preset}={options.init}" if options.init else options.preset
        self.of_whole = options
        options = replace(options, preset=name_of(config), init=str(out / PRUNED))
        options = replace(options, teacher=teacher, align=teacher)
        super().__init__(options, out, console, config=config, **more)

    def train(self, stages: tuple[str, ...] = STAGES) -> dict[str, Any]:
        """Prunes and trains what is not done yet; returns the summary of the last stage."""
        self.prune()
        return super().train(stages)

    def prune(self) -> None:
        """Writes the pruned encoder, unless an earlier run with the same settings has.

        Raises:
            TrainError: the folder holds what other settings gave.
            WeightsError: the file is of another encoder.
        """
        facts, settings = self.out / FACTS, self._prune_settings()
        before, after = parameters(self.whole), parameters(self.config)
        if facts.is_file() and (self.out / PRUNED).is_file():
            refuse_differences(json.loads(facts.read_text()), settings, facts)
            self.console.print(f"pruned already: {self.out / PRUNED}", soft_wrap=True)
        else:
            encoder = self._cut()
            save_tensors(self.out / PRUNED, encoder.state_dict(), {})
            write_file(self.out / CONFIG, _json(self.config.to_dict()))
            write_file(facts, _json(settings))
        self.console.print(_comparison(before, after), markup=False, highlight=False)

    def _prune_settings(self) -> dict[str, Any]:
        config = {f"config.{key}": value for key, value in self.config.to_dict().items()}
        texts = "corpora" if self.options.text_teacher else self.options.data
        return {"weights sha256": file_digest(self.file), "texts": texts, **config}

    def _cut(self) -> Encoder:
        with _Steps(self.console, 5) as step:
            whole = step("loading the whole encoder", self._load_whole)
            pruned = step("building the pruned one", lambda: build(self.config))
            texts = step("reading texts", self._texts)
            step("cutting the text tower", lambda: _cut_text(whole, pruned, texts))
            step("cutting the image tower", lambda: _cut_global(whole, pruned))
        for name, part in pruned.named_children():
            if name not in ("text", "global_view"):
                part.load_state_dict(getattr(whole, name).state_dict())
        return pruned

    def _load_whole(self) -> Encoder:
        if not self.of_whole.init:
            return load_trained(self.whole)
        encoder = build(self.whole)
        load_state(encoder, self.file)
        return encoder

    def _texts(self) -> list[np.ndarray]:
        if self.options.text_teacher:
            texts = [text.text for text in training_texts()[0]]
        else:
            texts = [sample.caption for sample in self._read()["train"]]
            texts += [sample.target for sample in self._read()["train"]]
        tokenizer = tokenizer_of(self.config)
        return [token_ids(tokenizer, text) for text in texts[:MOST_TEXTS]]


def name_of(config: EncoderConfig) -> str:
    """The preset that has a config, or "" where it is none's."""
    return next((name for name, known in PRESETS.items() if known == config), "")


def _cut_text(whole: Encoder, pruned: Encoder, texts: list[np.ndarray]) -> None:
    if isinstance(whole.text, MiniLm):
        cut_minilm(whole.text, pruned.text, texts)
    else:
        pruned.text.load_state_dict(whole.text.state_dict())


def _cut_global(whole: Encoder, pruned: Encoder) -> None:
    if isinstance(whole.global_view, MobileClip):
        cut_mobileclip(whole.global_view, pruned.global_view)
    else:
        pruned.global_view.load_state_dict(whole.global_view.state_dict())


class _Steps:
    """A bar over steps of seconds each; calls what a step does and returns what it gives."""

    def __init__(self, console: Console, total: int):
        columns = (TextColumn("pruning: {task.description}"), BarColumn(), MofNCompleteColumn())
        self.bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.task = self.bar.add_task("", total=total)

    def __enter__(self) -> _Steps:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def __call__(self, what: str, work: Callable[[], Any]) -> Any:
        self.bar.update(self.task, description=what)
        result = work()
        self.bar.advance(self.task)
        return result


def _comparison(before: dict[str, int], after: dict[str, int]) -> str:
    rows = [[name, f"{before[name]:,}", f"{after[name]:,}"] for name in before]
    rows.append(["total", f"{sum(before.values()):,}", f"{sum(after.values()):,}"])
    return table(["parameters of", "whole", "pruned"], rows)


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=1) + "\n").encode()
