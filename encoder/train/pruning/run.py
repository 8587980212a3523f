"""A run that begins with pruning: the whole encoder is cut, and what is left learns from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from encoder.config import PRESETS, EncoderConfig, find_checkpoint, preset
from encoder.model import Encoder, build
from encoder.modules.global_view import MobileClip
from encoder.modules.text import MiniLm
from encoder.tokenizers import tokenizer_of
from encoder.train import TrainError
from encoder.train.checkpoint import save_tensors, write_file
from encoder.train.options import STAGES, Options, refuse_differences
from encoder.train.pruning.fastvit import cut_mobileclip
from encoder.train.pruning.minilm import cut_minilm
from encoder.train.pruning.sizes import parameters, pruned_config
from encoder.train.run import Run, file_digest
from encoder.train.text_data import token_ids, training_texts
from encoder.weights import load_state, load_trained
from runtime.terminal import table

PRUNED, CONFIG, FACTS = "pruned.safetensors", "config.json", "pruning.json"
"""What pruning leaves in the run's folder: weights that nothing has been learned with yet, the encoder's
config, and, written last, what both were made from."""
MOST_TEXTS = 20_000
"""Texts that say which words are common."""


class PruningRun(Run):
    """Prunes a preset's encoder, then trains what is left with the whole one as its teacher.

    Args:
        options: of the run; `preset` is the whole encoder, `init` its safetensors file, or "" for its
            committed checkpoint.
        budget: parameters that the pruned encoder has to stay below.
        out, console, more: as in `Run`.

    Raises:
        TrainError: the preset cannot be pruned, or not to the budget, or the options do not go with pruning.
        WeightsError: the preset has no trained weights.
    """

    def __init__(self, options: Options, budget: int, out: Path, console: Console, **more: Any):
        _refuse_unfit(options)
        self.whole = preset(options.preset)
        self.file = Path(options.init) if options.init else find_checkpoint(self.whole)
        config = pruned_config(self.whole, budget)
        if self.file is None:
            raise TrainError(
                f"{options.preset}: this preset has no trained weights: train it first, or name them with "
                "--weights FILE"
            )
        if not self.file.is_file():
            raise TrainError(f"{self.file}: no such weights file")
        teacher = f"{options.preset}={options.init}" if options.init else options.preset
        self.of_whole = options
        options = replace(options, preset=name_of(config), init=str(out / PRUNED))
        options = replace(options, teacher=teacher, align=teacher)
        super().__init__(options, out, console, config=config, **more)

    def train(self, stages: tuple[str, ...] = STAGES) -> dict[str, Any]:
        """Prunes and trains what is not done yet; returns the summary of the last stage."""
        if "context" in stages or not self.options.text_teacher:
            self._read()  # what is bad is told before any work
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


def _refuse_unfit(options: Options) -> None:
    if options.context.frozen_vision or options.text.frozen_text:
        raise TrainError(
            "--freeze-vision and --freeze-text: all that was cut has to learn again; leave them out"
        )
    if options.teacher:
        raise TrainError(
            f"--teacher {options.teacher}: the teacher is the whole encoder (--weights says which); "
            "--teacher can only name a sentence encoder for the text tower"
        )


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
