"""The encoder computes what its parts are defined to, checked against PyTorch's and transformers' own modules."""

import pytest
import timm
import torch
from torch import nn

from encoder import build
from encoder.model import count_parameters
from encoder.modules.fusion import TransformerLayer
from encoder.modules.regions import REGION_BOXES, pooling_matrix


@torch.no_grad()
def test_embeddings_have_unit_length_and_do_not_depend_on_the_batch(encoder, batch):
    together = encoder(**batch)
    assert together.shape == (3, 256) and together.dtype == torch.float32
    torch.testing.assert_close(together.norm(dim=-1), torch.ones(3))
    alone = torch.cat(
        [encoder(**{name: value[row : row + 1] for name, value in batch.items()}) for row in range(3)]
    )
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("name", ["image", "input_ids", "user"])
def test_every_input_moves_the_embedding(encoder, batch, name):
    changed = {**batch, name: batch[name].flip(0)}
    assert (encoder(**batch) - encoder(**changed)).abs().max() > 1e-4


@torch.no_grad()
def test_forward_is_the_composition_of_the_signatures(encoder, batch):
    screen = encoder.encode_screen(batch["image"])
    text = encoder.encode_text(batch["input_ids"], batch["attention_mask"])
    assert screen.shape == (3, 5, 256) and text.shape == (3, 1, 256)
    assert torch.equal(encoder.fuse(screen, text, batch["user"]), encoder(**batch))


@torch.no_grad()
def test_regions_are_crops_of_the_map(encoder, batch):
    """At 256x128 the regions fall on whole cells, so that plain slices are the reference."""
    features = encoder.backbone(batch["image"])[-1]  # [3, 320, 8, 4]
    crops = [features[:, :, :4], features[:, :, 4:, 1:3], features[:, :, 4:], features[:, :, :2]]
    expected = torch.stack([encoder.regions.projection(crop.mean(dim=(2, 3))) for crop in crops], dim=1)
    torch.testing.assert_close(encoder.encode_screen(batch["image"])[:, 1:], expected, atol=1e-5, rtol=0)


def test_regions_weight_cut_cells_by_area():
    """On a map of 3x3 cells the top half is one row and a half, and w/4 cuts the first column at three quarters."""
    title, field, keyboard, status = pooling_matrix((3, 3)).T.reshape(4, 3, 3)
    assert list(REGION_BOXES) == ["title", "input", "keyboard", "status"]
    torch.testing.assert_close(title, torch.tensor([1, 0.5, 0]).repeat(3, 1).T / 4.5)
    torch.testing.assert_close(
        field, torch.tensor([0, 0.5, 1])[:, None] * torch.tensor([0.25, 1, 0.25]) / 2.25
    )
    torch.testing.assert_close(keyboard, torch.tensor([0, 0.5, 1]).repeat(3, 1).T / 4.5)
    torch.testing.assert_close(status, torch.tensor([0.75, 0, 0]).repeat(3, 1).T / 2.25)


@torch.no_grad()
def test_text_equals_the_bert_model_and_ignores_padding(encoder, batch):
    bert = encoder.text.bert
    whole = bert(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    expected = encoder.text.projection(whole[:, :1])
    token = encoder.encode_text(batch["input_ids"], batch["attention_mask"])
    torch.testing.assert_close(token, expected, atol=1e-6, rtol=0)
    noise = torch.where(batch["attention_mask"] == 1, batch["input_ids"], 17)
    torch.testing.assert_close(encoder.encode_text(noise, batch["attention_mask"]), token, atol=1e-6, rtol=0)


@torch.no_grad()
def test_backbone_is_timms_own(encoder, batch):
    """Same weights in a plain timm classifier, pixels scaled to [0, 1] as its published config says."""
    reference = timm.create_model("mobilevit_xxs", num_classes=0, global_pool="").eval()
    state = {
        name.replace("stages_", "stages."): value
        for name, value in encoder.backbone.features.state_dict().items()
    }
    reference.load_state_dict(state)
    pixels = batch["image"].permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(encoder.backbone(batch["image"])[-1], reference(pixels), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_fusion_layer_equals_pytorchs():
    layer = TransformerLayer(256, 8, 1024).eval()
    reference = nn.TransformerEncoderLayer(256, 8, 1024, activation="gelu", batch_first=True).eval()
    reference.load_state_dict(layer.state_dict())
    tokens = torch.randn(2, 8, 256, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(layer(tokens), reference(tokens), atol=1e-5, rtol=0)


def test_parameters_are_the_published_counts(encoder):
    counts = count_parameters(encoder)
    assert counts["total"] == sum(counts[part] for part in ("vision", "text", "fuse")) < 13_800_000
    assert sum(parameter.numel() for parameter in encoder.backbone.parameters()) == 951_024
    bert = sum(parameter.numel() for parameter in encoder.text.bert.parameters())
    assert bert == 4_385_920 - (128 * 128 + 128)  # published BERT-tiny, without its pooler
    layer = sum(parameter.numel() for parameter in encoder.fusion.layers.parameters())
    assert layer == sum(p.numel() for p in nn.TransformerEncoderLayer(256, 8, 1024).parameters())


def test_seeds_decide_the_weights():
    first, again, other = (build({}, seed=seed, initialize=False).user.layers[0].weight for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_building_leaves_the_callers_random_state_alone():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    build({})
    assert torch.equal(torch.rand(3), expected)


@torch.no_grad()
def test_another_backbone_and_size_work_by_name(batch):
    encoder = build({"backbone": "mobilenetv3_small_100", "image_size": [192, 96]})
    image = batch["image"][:, :192, :96]
    assert encoder(**{**batch, "image": image}).shape == (3, 256)
