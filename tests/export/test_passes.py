"""Rewrites are exact: the rewritten encoder equals the untouched one, and really has lost what was folded."""

import pytest
import timm
import torch
from torch import nn

from encoder import build
from encoder.modules.disabled_blocks import disable_blocks
from export.passes import apply_passes
from export.passes.fold_batch_norm import fold_batch_norm
from export.passes.head_layout import HeadLayout, head_layout
from export.passes.patch_tokens import PatchTokens, patch_tokens
from export.passes.rms_norms import RmsNorm, rms_norms

RESIDUAL = ("stages_0.0", "stages_1.1", "stages_1.2")
"""Blocks of MobileViT-XXS whose input passes by."""


def _stir_norms(module: nn.Module) -> None:
    """Gives norms what training would; fresh ones are the identity, and folding them proves nothing."""
    generator = torch.Generator().manual_seed(1)
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.running_mean.normal_(0, 0.3, generator=generator)
            child.running_var.uniform_(0.5, 2, generator=generator)
            child.weight.data.uniform_(0.5, 1.5, generator=generator)
            child.bias.data.normal_(0, 0.3, generator=generator)
        elif isinstance(child, nn.LayerNorm):
            child.weight.data.uniform_(0.5, 1.5, generator=generator)
            child.bias.data.normal_(0, 0.3, generator=generator)


@torch.no_grad()
def test_a_rewritten_encoder_computes_the_same():
    encoder = build({}, seed=4)
    _stir_norms(encoder)
    generator = torch.Generator().manual_seed(2)
    inputs = {
        "image": torch.randint(0, 256, (1, 256, 128, 3), generator=generator, dtype=torch.uint8),
        "input_ids": torch.randint(0, 30522, (1, 64), generator=generator, dtype=torch.int32),
        "attention_mask": torch.ones(1, 64, dtype=torch.int32),
        "user": torch.randn(1, 64, generator=generator),
    }
    expected = encoder(**inputs)
    rewritten = apply_passes(encoder)
    torch.testing.assert_close(rewritten(**inputs), expected, atol=1e-5, rtol=0)
    assert not any(isinstance(child, nn.BatchNorm2d) for child in rewritten.modules())
    assert any(isinstance(child, nn.BatchNorm2d) for child in encoder.modules()), "the original was changed"
    assert torch.equal(encoder(**inputs), expected)


@torch.no_grad()
@pytest.mark.parametrize("name", ["mobilevit_xxs", "mobilevitv2_050"])
def test_folding_batch_norms_is_exact(name):
    model = timm.create_model(name, num_classes=0).eval()
    _stir_norms(model)
    pixels = torch.rand(2, 3, 128, 64, generator=torch.Generator().manual_seed(3))
    expected = model(pixels)
    fold_batch_norm(model)
    scale = float(expected.abs().max())
    torch.testing.assert_close(model(pixels), expected, atol=1e-5 * max(1.0, scale), rtol=0)


def _features(backbone: nn.Module, size=(128, 64)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return backbone(torch.randint(0, 256, (2, *size, 3), generator=generator, dtype=torch.uint8))[-1]


@torch.no_grad()
@pytest.mark.parametrize("backbone", ["mobilevit_xxs", "mobilevit_xs"])
@pytest.mark.parametrize(
    ("change", "left", "count"),
    [(rms_norms, RmsNorm, 21), (head_layout, HeadLayout, 9), (patch_tokens, PatchTokens, 3)],
)
def test_a_rewrite_of_mobilevit_is_exact(backbone, change, left, count):
    encoder = build({"backbone": backbone, "image_size": (128, 64)}, seed=5)
    _stir_norms(encoder)
    fold_batch_norm(encoder)
    expected = _features(encoder.backbone)
    change(encoder)
    found = _features(encoder.backbone)
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(found, expected, atol=1e-5 * scale, rtol=0)
    assert sum(isinstance(child, left) for child in encoder.backbone.modules()) == count
    norms = sum(isinstance(child, nn.LayerNorm) for child in encoder.backbone.modules())
    assert norms == (0 if change is rms_norms else 21)


@torch.no_grad()
def test_other_backbones_pass_untouched():
    encoder = build({"backbone": "mobilenetv3_small_100", "image_size": (128, 64)}, seed=5)
    before = [id(module) for module in encoder.backbone.modules()]
    for change in (rms_norms, head_layout, patch_tokens):
        change(encoder)
    assert [id(module) for module in encoder.backbone.modules()] == before


@torch.no_grad()
def test_disabled_blocks_become_identities_and_nothing_changes():
    encoder = build({}, seed=4)
    _stir_norms(encoder)
    disable_blocks(encoder.backbone, ["stages_0.0", "stages_1.2"])
    image = torch.randint(0, 256, (2, 256, 128, 3), dtype=torch.uint8)
    expected = encoder.encode_screen(image)
    rewritten = apply_passes(encoder)
    torch.testing.assert_close(rewritten.encode_screen(image), expected, atol=1e-5, rtol=0)
    stages = rewritten.backbone.features
    assert [type(stages.get_submodule(name)) is nn.Identity for name in RESIDUAL] == [True, False, True]
    assert type(encoder.backbone.features.get_submodule("stages_0.0")) is not nn.Identity


def test_disabling_a_block_that_is_none_lists_those_that_are():
    with pytest.raises(ValueError, match=r"no residual block 'stages_2\.0'; it has: " + ", ".join(RESIDUAL)):
        disable_blocks(build({}).backbone, ["stages_0.0", "stages_2.0"])
    with pytest.raises(ValueError, match="it has: none"):
        disable_blocks(build({"backbone": "mobilenetv3_small"}).backbone, ["stages_0.0"])
