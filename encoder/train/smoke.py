"""Does training run at all? Two tiny runs on the committed screens; they say nothing about quality."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from calibration_data import ROOT
from calibration_data.generator.styles import STYLES
from calibration_data.samples import CALIBRATION_SPLITS, SAMPLES
from encoder.train.checkpoint import load_checkpoint
from encoder.train.loop import Pace, Stopped
from encoder.train.monitor import METRICS
from encoder.train.options import ContextOptions, Options
from encoder.train.run import Run

STEPS, STOP_AFTER, BATCH = 8, 3, 16
SHOWN_SHARE = 0.6


def smoke(folder: Path, seed: int, console: Console) -> list[str]:
    """Trains some steps twice, once with a stop and a resume.

    Args:
        folder: replaced.
        seed: of both runs.
        console: where to show.

    Returns:
        What went wrong, one line each; [] if nothing did.
    """
    shutil.rmtree(folder, ignore_errors=True)
    data = make_dataset(folder / "screens")
    context = replace(ContextOptions(), steps=STEPS, batch=BATCH, text_batch=0, low_resolution_share=0.75)
    options = Options(seed=seed, text_teacher="", data=str(data), context=context)
    pace = Pace(save=60, validate=60)
    Run(options, folder / "unbroken", console, pace=pace).train(("context",))
    try:
        Run(options, folder / "stopped", console, pace=pace, stop_after=STOP_AFTER).train(("context",))
    except Stopped:
        console.print(f"stopped after step {STOP_AFTER}; resuming")
    Run(options, folder / "stopped", console, pace=pace, resume=True).train(("context",))
    problems = [] if _same(folder / "unbroken" / "context", folder / "stopped" / "context") else [
        "the stopped and resumed run has other weights than the unbroken one"
    ]  # fmt: skip
    losses = _losses(folder / "unbroken" / "context" / METRICS)
    if not losses[-1] < losses[0]:
        problems.append(f"the loss does not fall: {losses[0]:.3f} at first, {losses[-1]:.3f} at last")
    return problems


def make_dataset(folder: Path, source: Path = ROOT, per_split: int | None = None) -> Path:
    """Makes a stand-in for a dataset of the committed screens; returns `folder`.

    They lack what training asks for, so it is invented: the text becomes the target and its beginning the
    text; each style ends it with its own name; captions name the kind of app.

    Args:
        folder: to write.
        source: the committed set.
        per_split: fewer samples; None for all.
    """
    (folder / "screens").mkdir(parents=True)
    lines = [json.loads(line) for line in (source / SAMPLES).read_text(encoding="utf-8").splitlines()]
    chosen = []
    for old, new in zip(CALIBRATION_SPLITS, ("train", "validation"), strict=True):
        chosen += [_sample(line, new) for line in lines if line["split"] == old][:per_split]
    for line in chosen:
        shutil.copy(source / line["image"], folder / line["image"])
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in chosen)
    (folder / SAMPLES).write_text(text, encoding="utf-8")
    return folder


def _sample(line: dict, split: str) -> dict:
    text, style, kind = line["text"], line["user_style"], line["kind"]
    endings = [f"{text} ({other})" for other in STYLES if other != style]
    return line | {
        "split": split,
        "view": f"{kind}/{kind}",
        "text": text[: max(1, round(SHOWN_SHARE * len(text)))],
        "target": f"{text} ({style})" if text else f"look around in {kind}",
        "target_group": line["id"] if text else f"action/{kind}",
        "siblings": endings if text else [],
        "caption": f"an app for {kind}",
    }


def _same(one: Path, other: Path) -> bool:
    (found, _), (again, _) = load_checkpoint(one), load_checkpoint(other)
    return found.keys() == again.keys() and all(torch.equal(found[name], again[name]) for name in found)


def _losses(metrics: Path) -> list[float]:
    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    return [record["loss"] for record in records if record["split"] == "train"]
