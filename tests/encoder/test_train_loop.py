"""The training loop, on an encoder of a few numbers: checkpoints, resuming, and what can go wrong."""

import json
import math
import resource

import pytest
import torch
from rich.console import Console
from torch import nn

from encoder.train import TrainError, TrainingDivergedError
from encoder.train.checkpoint import CHECKPOINT, PREVIOUS, load_checkpoint, save_checkpoint
from encoder.train.loop import Ema, Loop, Pace, Stopped, make_scheduler
from encoder.train.monitor import METRICS, Monitor
from encoder.train.options import StageOptions

ALWAYS = Pace(save=0.0, validate=1e9)


class Tiny(nn.Module):
    """The parts that the loop asks of an encoder: a backbone with a batch norm, and something else."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.rest = nn.Linear(4, 1)

    def forward(self, image):
        return self.rest(self.backbone(image).mean(dim=(2, 3)))


class Guessing:
    """A stage that asks for the mean of an image; from step `broken` on its loss is no number."""

    name, device = "context", torch.device("cpu")

    def __init__(self, steps=6, broken=None):
        self.options, self.broken = StageOptions(steps=steps, ema=0.9), broken
        torch.manual_seed(1)
        self.heads = nn.Linear(1, 1)

    def trained(self, encoder):
        return dict(encoder.named_parameters())

    def begin(self, encoder):
        self.begun = True

    def prepare(self, step):
        return torch.rand(8, 3, 4, 4, generator=torch.Generator().manual_seed(step))

    def loss(self, encoder, batch, step, progress):
        error = self.heads(encoder(batch)) - batch.mean(dim=(1, 2, 3))[:, None]
        loss = error.square().mean()
        return {"error": loss * float("nan") if step == self.broken else loss, "size": loss * 0.1}

    def phase(self, progress):
        return 0 if progress < 0.5 else 1

    def validate(self, encoder, progress):
        return {"bias": float(encoder.rest.bias)}


def loop(folder, stage=None, pace=ALWAYS):
    torch.manual_seed(0)
    stage = stage or Guessing()
    return Loop(stage, Tiny(), {"batch": 8}, folder, Monitor("context", folder, 8, Console(quiet=True)), pace)


def state(folder):
    return load_checkpoint(folder)[0]


def test_any_step_can_be_the_last_before_a_resume(tmp_path):
    loop(tmp_path / "whole").run()
    whole = state(tmp_path / "whole")
    assert {name.split(".")[0] for name in whole} == {"model", "ema", "heads", "optimizer"}
    for step in range(1, 6):
        folder = tmp_path / str(step)
        with pytest.raises(Stopped):
            loop(folder).run(stop_after=step)
        again = loop(folder)
        assert again.resume() and again.step == step
        again.run()
        found = state(folder)
        assert all(torch.equal(found[name], whole[name]) for name in whole), step
        records = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
        assert [record["step"] for record in records] == [1, 2, 3, 4, 5, 6, 6]


def test_a_loss_that_is_no_number_names_the_step_and_keeps_the_checkpoint(tmp_path):
    with pytest.raises(TrainingDivergedError, match=r"at step 4 of stage context \(error is nan"):
        loop(tmp_path, Guessing(broken=4)).run()
    assert load_checkpoint(tmp_path)[1]["step"] == 4
    assert all(tensor.isfinite().all() for tensor in state(tmp_path).values())


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path):
    running = loop(tmp_path)
    running.run()
    before = (tmp_path / CHECKPOINT).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(TrainError, match=r"cannot be written: .*; what was there is kept"):
            running.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path):
    running = loop(tmp_path)
    running.run()
    running.step = 99
    running.save()
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-10])
    again = loop(tmp_path)
    assert again.resume() and again.step == 6
    for name in (CHECKPOINT, PREVIOUS):
        (tmp_path / name).write_bytes(b"\x80\x04pickle")
    with pytest.raises(TrainError, match="not a readable checkpoint"):
        loop(tmp_path).resume()


def test_a_checkpoint_of_another_model_is_refused_by_tensor(tmp_path):
    loop(tmp_path).run()
    tensors, facts = load_checkpoint(tmp_path)
    del tensors["model.rest.bias"]
    tensors["model.rest.weight"] = torch.zeros(1, 5)
    save_checkpoint(tmp_path, tensors, facts)
    with pytest.raises(
        TrainError, match=r"rest.bias was absent, now \(1,\); rest.weight was \(1, 5\), now \(1, 4\)"
    ):
        loop(tmp_path).resume()


def test_a_stage_limited_by_time_ends(tmp_path):
    stage = Guessing(steps=0)
    stage.options = StageOptions(minutes=0.5 / 60)
    running = loop(tmp_path, stage, Pace())
    running.run()
    assert running.step >= 1 and 0.5 <= running.seconds < 60 and load_checkpoint(tmp_path)[1]["done"]


def test_rates_rise_straight_and_fall_as_a_cosine():
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [{"params": [one], "lr": rate} for one, rate in zip(parameters, (2.0, 1.0), strict=True)]
    optimizer, progress = torch.optim.AdamW(groups), 0.05
    scheduler = make_scheduler(optimizer, lambda: progress, warmup=0.1)
    rates = [scheduler.get_last_lr()]
    for progress in (0.1, 0.55, 1.0):  # noqa: B007 - the scheduler reads it
        optimizer.step()
        scheduler.step()
        rates.append(scheduler.get_last_lr())
    expected = [1.0, 2.0, 2 * (0.01 + 0.99 / 2), 0.02]
    assert rates == [pytest.approx([rate, rate / 2]) for rate in expected]


def test_a_run_trains_at_the_scheduled_rates(tmp_path):
    """Also one that goes on after a stop: it does not begin with the full rate, nor warm up again."""
    running = loop(tmp_path, Guessing(steps=6))
    with pytest.raises(Stopped):
        running.run(stop_after=4)
    again = loop(tmp_path, Guessing(steps=6))
    again.resume()
    again.run()
    records = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    warmup = StageOptions().warmup
    done = [(step / 6 - warmup) / (1 - warmup) for step in range(1, 6)]
    falling = [0.01 + 0.99 * (1 + math.cos(math.pi * part)) / 2 for part in done]
    rates = [record["rate"] for record in records if record["split"] == "train"]
    assert rates == pytest.approx([0.01, *falling], rel=1e-3)
    assert again.optimizer.param_groups[0]["lr"] == pytest.approx(0.01 * StageOptions().backbone_rate)


def test_the_ema_takes_in_weights_and_batch_norm_statistics():
    encoder = Tiny()
    ema = Ema(encoder, decay=0.9)
    start = encoder.rest.bias.item()
    for step in range(3):
        with torch.no_grad():
            encoder.rest.bias.fill_(step + 1.0)
            encoder.backbone[1].running_mean.fill_(step + 1.0)
        ema.take(encoder)
    expected, mean = start, 0.0
    for step in range(3):
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * (step + 1)
        mean = decay * mean + (1 - decay) * (step + 1)
    assert ema.module.rest.bias.item() == pytest.approx(expected)
    assert ema.module.backbone[1].running_mean.tolist() == pytest.approx([mean] * 4)


def test_the_ema_begins_anew_with_each_phase(tmp_path):
    running = loop(tmp_path, Guessing(steps=6))
    running.run()
    assert running.ema.updates == 3
