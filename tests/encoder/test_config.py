"""The configuration reads the published dict, and names what is wrong with another."""

import dataclasses
import json

import pytest

from encoder import PRESETS, ConfigError, EncoderConfig, build, preset

PUBLISHED = {
    "backbone": "mobilevit_xxs",
    "backbone_pretrained": True,
    "roi_method": "fixed_grid",
    "global_projection": "simple_mlp",
    "text_model": "prajjwal1/bert-tiny",
    "text_max_length": 64,
    "text_projection_dim": 256,
    "fusion_layers": 1,
    "fusion_heads": 8,
    "fusion_ffn_dim": 1024,
    "user_embed_dim": 64,
    "user_proj_dim": 256,
}


def test_the_published_dict_is_the_default_preset():
    assert EncoderConfig.from_dict(PUBLISHED) == PRESETS["balanced"] == preset("balanced")
    assert preset("balanced").image_size == (256, 128)


def test_a_config_survives_json():
    config = dataclasses.replace(preset("balanced"), image_size=(320, 192))
    assert EncoderConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"backbones": "x"}, r"unknown config key 'backbones'; valid keys: backbone, "),
        ({"fusion_heads": "8"}, r"fusion_heads is '8'; it must be of type int"),
        ({"fusion_heads": True}, r"fusion_heads is True; it must be of type int"),
        ({"fusion_heads": 7}, r"fusion_heads is 7; it must divide 256"),
        ({"fusion_layers": 0}, r"fusion_layers is 0; it must be from 1 to 24"),
        ({"fusion_layers": 10**60}, r"fusion_layers is 1000000"),
        (
            {"fusion": "two_layer_transformer", "fusion_layers": 10**4000},
            r"fusion_layers is 10+\.\.\.; it must be",
        ),
        ({"fusion_ffn_dim": 10**12}, r"fusion_ffn_dim is 1000000000000; it must be from 1 to 8192"),
        ({"fusion_ffn_dim": 1e12}, r"fusion_ffn_dim is 1000000000000.0; it must be of type int"),
        ({"user_embed_dim": 2**31}, r"user_embed_dim is 2147483648; it must be from 1 to 4096"),
        ({"user_proj_dim": 10**300}, r"user_proj_dim is 10+\.\.\.; it must be 256"),
        ({"text_layers": 1000}, r"text_layers is 1000; it must be from 1 to 24"),
        ({"global_width": -4}, r"global_width is -4; it must be from 1 to 512"),
        ({"image_size": [256, 10**60]}, r"image_size is \(256, 10+\); it must be from 1 to 2048"),
        ({"image_size": [[256], 128]}, r"image_size is \(\[256\], 128\); it must be two whole numbers"),
        ({"image_size": [0] * 30_000}, r"image_size is \(0, 0, "),
        ({"backbone": "y" * 30_000}, r"backbone is 'y+\.\.\.; it must be at most 100 characters"),
        ({"backbone": None}, r"backbone is None; it must be of type str"),
        ({"y" * 30_000: 1}, r"unknown config key 'y+\.\.\.; valid keys"),
        ({"text_projection_dim": 128}, r"text_projection_dim is 128; it must be 256"),
        ({"text_max_length": 2}, r"text_max_length is 2; it must be from 3 to 512"),
        ({"text_truncation": "middle"}, r"text_truncation is 'middle'; it must be left or right"),
        ({"image_size": [256]}, r"image_size is \(256,\); it must be two whole numbers"),
        ({"image_size": [256.0, 128]}, r"image_size is \(256.0, 128\); it must be two whole numbers"),
    ],
)
def test_bad_values_are_named(values, message):
    with pytest.raises(ConfigError, match=message) as refused:
        EncoderConfig.from_dict(values)
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"roi_method": "grid"}, "unknown roi_method 'grid'; valid options: fixed_grid"),
        ({"global_projection": "mlp"}, "unknown global_projection 'mlp'; valid options: simple_mlp"),
        ({"text_model": "bert"}, "unknown text_model 'bert'; valid options: prajjwal1/bert-tiny"),
        ({"backbone": "mobilevit_xxl"}, "unknown backbone 'mobilevit_xxl'; .*mobilevit_xxs"),
        ({"image_size": [250, 128]}, "image_size 250x128 does not fit mobilevit_xxs: .* multiples of 64"),
        ({"image_size": [4096, 128]}, r"image_size is \(4096, 128\); it must be from 1 to 2048"),
    ],
)
def test_options_that_cannot_be_built_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        build(values)


def test_unknown_presets_list_the_valid_ones():
    with pytest.raises(ConfigError, match="unknown preset 'tiny'; valid presets: balanced"):
        preset("tiny")
