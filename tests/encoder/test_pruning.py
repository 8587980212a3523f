"""Pruning: what is left is a smaller encoder of the config's sizes, and what is cut is what matters least."""

import numpy as np
import pytest
import torch

from encoder.config import PRESETS, ConfigError, EncoderConfig, preset
from encoder.model import build
from encoder.modules.global_view import MobileClip
from encoder.modules.slots import Screen
from encoder.modules.text import MiniLm
from encoder.train import TrainError
from encoder.train.__main__ import main
from encoder.train.prune import check_prunable
from encoder.train.pruning import (
    cut_minilm,
    cut_mobileclip,
    factorized,
    parameters,
    pruned_config,
    spaced,
)

WHOLE = "high_performance"


@pytest.fixture(scope="module")
def texts():
    random = np.random.default_rng(3)
    return [random.integers(1000, 20000, size).astype(np.int32) for size in (3, 5, 8, 13, 21)]


def test_the_pruned_preset_is_what_its_budget_gives():
    found = pruned_config(preset(WHOLE), 13_800_000)
    assert found == preset("high_performance_pruned")
    total = sum(parameters(found).values())
    assert total == sum(value.numel() for value in build(found, initialize=False).parameters()) < 13_800_000


def test_a_larger_budget_prunes_less():
    counts = [
        sum(parameters(pruned_config(preset(WHOLE), budget)).values())
        for budget in (9_000_000, 13_800_000, 25_000_000)
    ]
    assert counts == sorted(counts) and len(set(counts)) == 3


def test_a_config_without_pruned_sizes_is_written_as_before():
    assert not {"text_layers", "global_width"} & EncoderConfig().to_dict().keys()
    pruned = preset("high_performance_pruned")
    assert EncoderConfig.from_dict(pruned.to_dict()) == pruned


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"text_layers": 1}, "text_layers is 1, but text_model 'prajjwal1/bert-tiny' comes in one size"),
        ({"text_model": PRESETS[WHOLE].text_model, "text_layers": 7}, "must be from 1 to 6"),
        ({"text_model": PRESETS[WHOLE].text_model, "text_embedding_rank": 7}, "it must be even"),
        ({"global_projection": "mobileclip_s0", "global_width": 30}, "it must be a multiple of 4"),
    ],
)
def test_sizes_that_cannot_be_had_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        build(values)


def test_minilm_cut_by_nothing_is_the_same(texts):
    whole, same = MiniLm(64, 256).eval(), MiniLm(64, 256).eval()
    cut_minilm(whole, same, texts)
    ids = torch.from_numpy(texts[3])[None]
    torch.testing.assert_close(
        same(ids, torch.ones_like(ids)), whole(ids, torch.ones_like(ids)), atol=1e-5, rtol=0
    )


def test_minilm_keeps_neurons_that_matter(texts):
    """Neurons that add nothing can be cut without a trace."""
    whole = MiniLm(64, 256, layers=2).eval()
    with torch.no_grad():
        for layer in whole.bert.encoder.layer:
            layer.output.dense.weight[:, ::2] = 0
    smaller = MiniLm(64, 256, layers=2, ffn_dim=768).eval()
    cut_minilm(whole, smaller, texts)
    ids = torch.from_numpy(texts[4])[None]
    torch.testing.assert_close(
        smaller(ids, torch.ones_like(ids)), whole(ids, torch.ones_like(ids)), atol=1e-5, rtol=0
    )


def test_layers_are_evenly_spaced():
    assert spaced(6, 6) == [0, 1, 2, 3, 4, 5] and spaced(6, 3) == [0, 3, 5] and spaced(6, 1) == [5]


def test_word_vectors_become_the_nearest_low_rank_product():
    table = torch.randn(200, 24, generator=torch.Generator().manual_seed(1))
    narrow, widen = factorized(table, torch.zeros(200, dtype=torch.int64), 8)
    error = float((table - narrow @ widen.T).square().sum())
    singular = np.linalg.svd(table.numpy(), compute_uv=False)
    assert error == pytest.approx(float(np.square(singular[8:]).sum()), rel=1e-4)
    counts = torch.zeros(200, dtype=torch.int64)
    counts[:8] = 10**8  # words that are everywhere are kept as they are
    narrow, widen = factorized(table, counts, 8)
    torch.testing.assert_close((narrow @ widen.T)[:8], table[:8], atol=1e-3, rtol=0)


@pytest.fixture
def mobileclip():
    """A global view that can be cut, a screen, and what constructs others."""
    backbone = build({"image_size": [64, 64]}).backbone
    image = torch.randint(0, 256, (1, 64, 64, 3), generator=torch.Generator().manual_seed(0)).byte()
    return MobileClip(backbone, 256, width=32).eval(), Screen(image, ()), backbone


@pytest.mark.exhaustive
def test_mobileclip_cut_by_nothing_is_the_same(mobileclip):
    view, screen, backbone = mobileclip
    same = MobileClip(backbone, 256, width=32).eval()
    cut_mobileclip(view, same)
    torch.testing.assert_close(same(screen), view(screen), atol=1e-4, rtol=0)


def test_mobileclip_keeps_what_its_smaller_size_has_room_for(mobileclip):
    view, screen, backbone = mobileclip
    before, smaller = view(screen), MobileClip(backbone, 256, width=16).eval()
    cut_mobileclip(view, smaller)
    stem, original = smaller.tower.stem[0], view.tower.stem[0]
    kept = {tuple(row.flatten().tolist()) for row in stem.conv_kxk[0].conv.weight}
    assert len(kept) == 16 and kept < {tuple(r.flatten().tolist()) for r in original.conv_kxk[0].conv.weight}
    assert smaller(screen).isfinite().all() and torch.equal(view(screen), before)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ("--budget", "1M", "--stage", "text"),
            "a budget of 1,000,000 parameters cannot be reached: the hardest pruning leaves 8,",
        ),
        (("--preset", "balanced"), "nothing that can be pruned; those that can be pruned: high_performance"),
        (("--preset", "high_performance_pruned"), "is pruned already"),
        (("--teacher", "balanced"), "the teacher is the whole encoder"),
        (("--weights", "nowhere.safetensors"), "nowhere.safetensors"),
    ],
)
def test_bad_input_is_told_in_one_line_before_any_work(tmp_path, capsys, more, message):
    assert main(["prune", "--out", str(tmp_path / "run"), *more]) == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1 and message in error.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_a_malformed_budget_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["prune", "--budget", "many"])
    assert caught.value.code == 2
    assert "'many' is no number of parameters" in capsys.readouterr().err


def test_what_cannot_be_pruned_says_what_can():
    with pytest.raises(TrainError, match="those that can be pruned: high_performance"):
        check_prunable(EncoderConfig())
