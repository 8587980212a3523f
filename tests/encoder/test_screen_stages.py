"""The stages that read screens: regions learn from boxes, the vision part from a teacher, and what stays as it is."""

import json

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from encoder.config import CHECKPOINTS
from encoder.train.checkpoint import publish
from encoder.train.screens import nudge
from tests.encoder.training import one_line


def test_regions_that_are_found_learn_from_the_boxes(train, tmp_path):
    code, _ = train("--preset", "tiny_sam", "--steps", "6", "--rate", "0.003")
    assert code == 0
    lines = [json.loads(line) for line in (tmp_path / "run/context/metrics.jsonl").read_text().splitlines()]
    assert lines[5]["masks"] < lines[0]["masks"] and 0 <= lines[-1]["mask_iou"] < 1


def test_the_regions_stage_trains_nothing_but_regions_and_the_next_stage_goes_on_from_it(train, tmp_path):
    steps = ("--stage", "regions", "--region-steps", "12")
    assert train("--preset", "tiny_sam", "--init", "balanced", *steps)[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "run/regions/metrics.jsonl").read_text().splitlines()]
    assert lines[11]["masks"] < lines[0]["masks"] and 0 <= lines[-1]["mask_iou"] < 1
    before = load_file(CHECKPOINTS / "balanced.safetensors")
    after = load_file(tmp_path / "run" / "regions" / "encoder.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before if not name.startswith("regions."))
    assert train("--preset", "tiny_sam", "--init", "balanced", "--rate", "1e-9", "--steps", "1")[0] == 0
    last = load_file(tmp_path / "run" / "encoder.safetensors")
    found = "regions.decoder.prompts"
    torch.testing.assert_close(last[found], after[found], atol=1e-6, rtol=0)


def test_fixed_regions_have_nothing_to_learn(train, tmp_path):
    code, error = train("--stage", "regions", "--region-steps", "1")
    assert code == 2 and "tiny has fixed regions: there is nothing to learn" in one_line(error)
    assert not (tmp_path / "run").exists()


def test_frozen_vision_stays_as_it_is_and_its_tokens_are_read_once(train, run, tmp_path, monkeypatch):
    weights = run / "encoder.safetensors"
    frozen = ("--init", weights, "--freeze-vision", "--qat-share", "1")
    assert train(*frozen)[0] == 0
    before, after = load_file(weights), load_file(tmp_path / "run" / "encoder.safetensors")
    seeing = ("backbone.", "regions.", "global_view.")
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed and not {name for name in changed if name.startswith(seeing)}
    assert {name.split(".")[0] for name in changed} == {"text", "user", "fusion"}
    monkeypatch.setattr("encoder.train.batches._all_tokens", None)  # kept by the first run
    assert train(*frozen, out=tmp_path / "again")[0] == 0
    again = load_file(tmp_path / "again" / "encoder.safetensors")
    assert all(torch.equal(again[name], value) for name, value in after.items())


def test_the_vision_stage_comes_nearer_its_teacher_and_disabled_blocks_stay_so(train, run, tmp_path):
    weights = run / "encoder.safetensors"
    known = ("--init", weights, "--teacher", weights, "--disable-blocks", "stages_0.0,stages_1.2")
    code, _ = train(*known, "--stage", "vision", "--steps", "8", "--rate", "0.001", "--qat-share", "0.5")
    assert code == 0
    lines = [json.loads(line) for line in (tmp_path / "run/vision/metrics.jsonl").read_text().splitlines()]
    assert lines[7]["tokens"] < lines[0]["tokens"] and -1 <= lines[-1]["token_cosine"] < 1
    before = load_file(weights)
    after = load_file(tmp_path / "run" / "vision" / "encoder.safetensors")
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert {name.split(".")[0] for name in changed} == {"backbone", "global_view", "regions"}
    assert not any(part in name for name in changed for part in ("stages_0.0.conv1", "stages_1.2.conv2"))
    assert train("--steps", "1", "--rate", "0.01")[0] == 0  # the context stage goes on from it
    last = load_file(tmp_path / "run" / "encoder.safetensors")
    for block in ("stages_0.0", "stages_1.2"):
        norm = f"backbone.features.{block}.conv3_1x1.bn"
        assert not last[f"{norm}.weight"].any() and not last[f"{norm}.bias"].any()
    assert last["backbone.features.stages_1.1.conv3_1x1.bn.weight"].all()


def test_half_of_a_vision_batch_are_screens_without_labels(train, run, tmp_path):
    """They decide what is learned: with other screens the same steps end elsewhere."""
    weights, learned = run / "encoder.safetensors", []
    for number, colour in enumerate(((255, 0, 0), (0, 0, 255))):
        folder = tmp_path / f"screens{number}"
        (folder / "within").mkdir(parents=True)
        for name in ("a.png", "within/b.jpg", "within/c.webp"):
            Image.new("RGB", (30, 60), colour).save(folder / name)
        more = ("--stage", "vision", "--teacher", weights, "--init", weights, "--screens", folder)
        assert train(*more, "--steps", "2", "--qat-bits", "7", "--qat-share", "1", out=folder / "run")[0] == 0
        learned.append(load_file(publish(folder / "run", "tiny", [], folder)))
        card = " ".join((folder / "tiny.md").read_text().split())
        assert (
            ", half of each batch from 3 screenshots without labels, not published; screen tokens follow those of"
            in card
        )
    assert any(not torch.equal(value, learned[1][name]) for name, value in learned[0].items())


def test_screens_without_labels_must_be_there(train, run, tmp_path):
    weights = run / "encoder.safetensors"
    code, error = train("--stage", "vision", "--teacher", weights, "--screens", tmp_path)
    assert code == 2 and "0 images (.png, .jpg, .jpeg, .webp) in this folder; 1 needed" in one_line(error)


def test_a_nudge_moves_a_screen_by_two_pixels_at_most_and_changes_little_else():
    random = torch.Generator().manual_seed(3)
    image = torch.rand(32, 24, 12, 3, generator=random).mul(255).round()
    nudged = nudge(image, torch.Generator().manual_seed(4))
    assert nudged.shape == image.shape and nudged.min() >= 0 and nudged.max() <= 255
    assert torch.equal(nudged, nudge(image, torch.Generator().manual_seed(4)))
    places = set()
    for before, after in zip(image, nudged, strict=True):
        padded = np.pad(before.numpy(), ((2, 2), (2, 2), (0, 0)), mode="edge")
        off = {
            (y, x): np.median(np.abs(padded[y : y + 24, x : x + 12] - after.numpy()))
            for y in range(5)
            for x in range(5)
        }
        place = min(off, key=off.get)
        assert off[place] < 6  # the noise of a JPEG file, and a letter
        places.add(place)
    assert len(places) > 12
