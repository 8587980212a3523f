"""Rewrites of the slots' other modules are exact too, and leave nothing behind that an engine handles badly."""

import pytest
import torch
from torch import nn

from encoder import PRESETS, build
from encoder.config import BYTE_BPE_SIZE
from encoder.modules.mask_decoder import Positions
from export.passes import apply_passes
from export.passes.bands import BandedConv
from export.passes.borders import BorderedConv, ColouredBorder, borders
from export.passes.fold_input_scale import ByteBackbone, fold_input_scale
from tests.export.test_passes import _stir_norms

CONFIGS = {
    **{name: config.to_dict() for name, config in PRESETS.items()},
    "roberta_tiny": {"text_model": "roberta_tiny"},
    "deep_transformer": {"fusion_layers": 3},
    "timm": {"backbone": "timm/mobilenetv2_050", "image_size": [192, 128]},
    "branches": {"backbone": "timm/repghostnet_050"},
    "mobilevitv2": {"backbone": "timm/mobilevitv2_050"},
    "efficientvit": {"backbone": "timm/efficientvit_b0"},
    "own_size": {"backbone": "timm/vit_tiny_patch16_224", "image_size": [192, 128]},
}


def inputs(size=(256, 128)) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    mask = torch.ones(2, 64, dtype=torch.int32)
    mask[1, 9:] = 0
    return {
        "image": torch.randint(0, 256, (2, *size, 3), generator=generator, dtype=torch.uint8),
        "input_ids": torch.randint(0, BYTE_BPE_SIZE, (2, 64), generator=generator, dtype=torch.int32),
        "attention_mask": mask,
        "user": torch.randn(2, 64, generator=generator),
    }


@torch.no_grad()
@pytest.mark.parametrize("name", CONFIGS)
def test_a_rewritten_encoder_computes_the_same(name):
    encoder = build(CONFIGS[name], seed=4)
    _stir_norms(encoder)
    given = inputs(CONFIGS[name].get("image_size", (256, 128)))
    before = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}
    texts = given["input_ids"], given["attention_mask"]
    tokens = torch.randn(2, 6, 256, generator=torch.Generator().manual_seed(3)).split([5, 1], dim=1)
    expected, text = encoder.encode_screen(given["image"]), encoder.encode_text(*texts)
    embedding = encoder.fuse(*tokens, given["user"])
    rewritten = apply_passes(encoder)
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(rewritten.encode_screen(given["image"]), expected, atol=1e-5 * scale, rtol=0)
    found = [rewritten.encode_text(ids[None], mask[None]) for ids, mask in zip(*texts, strict=True)]
    torch.testing.assert_close(torch.cat(found), text, atol=1e-5, rtol=0)
    torch.testing.assert_close(rewritten.fuse(*tokens, given["user"]), embedding, atol=1e-5, rtol=0)
    if encoder.mask_size is not None:
        found, masks = (model.find_regions(given["image"])[1] for model in (rewritten, encoder))
        torch.testing.assert_close(found, masks, atol=1e-5, rtol=0)
    after = encoder.state_dict()
    changed = [key for key in before.keys() | after.keys() if not torch.equal(before[key], after[key])]
    assert not changed, "the original was changed"
    left = [type(module) for module in rewritten.modules()]
    assert nn.LSTM not in left and Positions not in left


@torch.no_grad()
@pytest.mark.parametrize("name", ["timm/mobilenetv3_small_100", "timm/mobilenetv2_050", "timm/resnet10t"])
def test_pixels_are_normalized_within_the_first_convolution(name):
    """The border counts as the mean colour, black or white pixels beside it do not leak into it."""
    encoder = build({"backbone": name}, seed=5)
    expected = encoder.backbone(inputs()["image"])[-1]
    fold_input_scale(encoder)
    assert type(encoder.backbone) is ByteBackbone
    assert any(type(module) is ColouredBorder for module in encoder.backbone.modules())
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(encoder.backbone(inputs()["image"])[-1], expected, atol=1e-5 * scale, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(("kernel", "size"), [(3, (32, 16)), (5, (32, 16)), (3, (15, 9)), (7, (13, 20))])
def test_a_border_by_concatenation_is_padding(kernel, size):
    conv = nn.Conv2d(4, 6, kernel, stride=2, padding=kernel // 2)
    features = torch.randn(2, 4, *size)
    expected = conv(features)
    torch.testing.assert_close(BorderedConv(conv)(features), expected, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(("kernel", "stride", "size"), [(7, 1, (16, 8)), (7, 2, (17, 8)), (9, 1, (12, 12))])
def test_bands_sum_to_the_large_kernel(kernel, stride, size):
    conv = nn.Conv2d(6, 6, kernel, stride=stride, padding=kernel // 2, groups=6)
    features = torch.randn(2, 6, *size)
    expected = conv(features)
    banded = BandedConv(conv)
    torch.testing.assert_close(banded(features), expected, atol=1e-5, rtol=0)
    assert all(band.kernel_size[0] * band.kernel_size[1] <= 25 for band in banded.bands)


def test_mobilevit_keeps_its_padding():
    encoder = build({})
    borders(encoder)
    assert not any(isinstance(module, BorderedConv) for module in encoder.modules())
