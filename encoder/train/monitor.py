"""What a run shows and records: a progress bar, `metrics.jsonl`, curves, and TensorBoard if wanted."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from encoder.train import TrainError

METRICS, CURVES = "metrics.jsonl", "curves.png"
LINE_EVERY_S = 30.0
"""Between lines, where the output is no terminal."""
RECENT = 20
SMOOTHED = 30
"""Steps that a point of the loss curves is the mean of."""


class Monitor:
    """Shows and records one stage.

    Args:
        stage: its name.
        folder: of the stage.
        batch: screens, or texts, a step.
        console: where to show; nothing is drawn on one that is quiet.
        tensorboard: also write TensorBoard's files; needs its package.
    """

    def __init__(self, stage: str, folder: Path, batch: int, console: Console, *, tensorboard: bool = False):
        self.stage, self.folder, self.batch, self.console = stage, folder, batch, console
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # has a package of its own

            self._writer = SummaryWriter(str(folder))
        columns = (
            TextColumn(f"[bold]{stage}"), BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[text]}"),
        )  # fmt: skip
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(stage, total=1.0, text="")
        self._times: deque[float] = deque(maxlen=RECENT)
        self._line_at = 0.0
        self._begun = time.perf_counter()

    def __enter__(self) -> Monitor:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()
        if self._writer is not None:
            self._writer.close()

    def rewind(self, step: int) -> None:
        """Forgets what was recorded after a step: it will happen again."""
        path = self.folder / METRICS
        if path.is_file():
            kept = [line for line in path.read_text().splitlines() if _step(line) <= step]
            path.write_text("".join(f"{line}\n" for line in kept))
        self.console.print(f"{self.stage}: going on after step {step}")

    def step(self, step: int, progress: float, parts: Mapping[str, float], *, rate: float, norm: Any) -> None:
        """Shows and records a step."""
        now = time.perf_counter()
        self._times.append(now)
        took = self._times[-1] - self._times[0]
        speed = self.batch * (len(self._times) - 1) / took if took else 0.0
        total = sum(parts.values())
        shown = " ".join(f"{name} {value:.2f}" for name, value in parts.items())
        text = f"step {step} loss {total:.2f} ({shown}) {speed:.0f}/s"
        self._bar.update(self._task, completed=progress, text=text)
        if not self.console.is_terminal and now - self._line_at > LINE_EVERY_S:
            self._line_at = now
            left = (now - self._begun) * (1 - progress) / progress / 60 if progress else 0.0
            self.console.print(f"{self.stage} {progress:4.0%} {text} {left:.0f} min left", soft_wrap=True)
        record = {"loss": total, **parts, "rate": rate, "norm": float(norm), "per_second": speed}
        self._record(step, "train", record)

    def validation(self, step: int, figures: Mapping[str, float]) -> None:
        """Shows and records a validation, and draws the curves anew."""
        shown = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        self.console.print(f"{self.stage} validation after step {step}: {shown}", soft_wrap=True)
        self._record(step, "validation", figures)
        self._times.clear()
        draw_curves(self.folder / METRICS, self.folder / CURVES)

    def _record(self, step: int, split: str, figures: Mapping[str, float]) -> None:
        rounded = {name: float(f"{value:.5g}") for name, value in figures.items()}
        try:
            with open(self.folder / METRICS, "a") as file:
                file.write(json.dumps({"step": step, "split": split, **rounded}) + "\n")
        except OSError as error:
            raise TrainError(f"{self.folder / METRICS}: cannot be written: {error.strerror}") from error
        if self._writer is not None:
            for name, value in rounded.items():
                self._writer.add_scalar(f"{split}/{name}", value, step)


class ScreenProgress:
    """A bar for each thing that is done to all screens; called with what, parts done and parts to do."""

    def __init__(self, console: Console):
        self.console, self.bar = console, None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Shows how far it is."""
        if self.bar is None:
            columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self.bar = Progress(
                *columns, console=self.console, transient=True, disable=not self.console.is_terminal
            )
            self.bar.start()
            self.task = self.bar.add_task(what, total=total)
        self.bar.update(self.task, completed=done)
        if done == total:
            self.bar.stop()
            self.bar = None


def draw_curves(metrics: Path, path: Path) -> None:
    """Draws the parts of the loss and the validation's figures over the steps."""
    from matplotlib.figure import Figure

    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    for axes, split in zip(figure.subplots(1, 2), ("train", "validation"), strict=True):
        rows = [record for record in records if record["split"] == split]
        hidden = {"step", "split", "rate", "norm", "per_second"}
        for name in dict.fromkeys(key for row in rows for key in row if key not in hidden):
            steps = np.array([row["step"] for row in rows if name in row])
            values = np.array([row[name] for row in rows if name in row])
            width = min(SMOOTHED, len(values)) if split == "train" else 1
            means = np.convolve(values, np.full(width, 1 / width), "valid")
            axes.plot(steps[width - 1 :], means, label=name, marker="" if split == "train" else ".")
        axes.set_title("loss" if split == "train" else "validation")
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if rows:
            axes.legend(fontsize=7)
    try:
        figure.savefig(path, dpi=110, metadata={"Software": None})
    except OSError as error:
        raise TrainError(f"{path}: cannot be written: {error.strerror}") from error


def _step(line: str) -> int:
    try:
        return json.loads(line)["step"]
    except ValueError:  # half a line, left by a run that was killed
        return 1 << 62
