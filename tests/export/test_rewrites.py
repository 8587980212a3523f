"""Rewrites are exact: the rewritten encoder equals the untouched one, and really has lost what was folded."""

import pytest
import timm
import torch
from torch import nn

from encoder import build
from export.rewrites import rewrite
from export.rewrites.fold_batch_norm import fold_batch_norm


def _stir_norms(module: nn.Module) -> None:
    """Gives batch norms statistics as training would; fresh ones are the identity, and folding them proves nothing."""
    generator = torch.Generator().manual_seed(1)
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.running_mean.normal_(0, 0.3, generator=generator)
            child.running_var.uniform_(0.5, 2, generator=generator)
            child.weight.data.uniform_(0.5, 1.5, generator=generator)
            child.bias.data.normal_(0, 0.3, generator=generator)


@torch.no_grad()
def test_a_rewritten_encoder_computes_the_same():
    encoder = build({}, seed=4)
    _stir_norms(encoder)
    generator = torch.Generator().manual_seed(2)
    inputs = {
        "image": torch.randint(0, 256, (2, 256, 128, 3), generator=generator, dtype=torch.uint8),
        "input_ids": torch.randint(0, 30522, (2, 64), generator=generator, dtype=torch.int32),
        "attention_mask": torch.ones(2, 64, dtype=torch.int32),
        "user": torch.randn(2, 64, generator=generator),
    }
    expected = encoder(**inputs)
    rewritten = rewrite(encoder)
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
