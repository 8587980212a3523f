"""A config that cannot be built is refused before torch is loaded, in the words of `build`."""

import json
import subprocess
import sys

import pytest
import timm

from encoder import ConfigError, EncoderConfig, build
from encoder.modules.backbone import BACKBONES
from encoder.modules.fusion import FUSIONS
from encoder.modules.global_view import GLOBAL_VIEWS
from encoder.modules.regions import REGIONS
from encoder.modules.text import TEXT_MODELS
from encoder.options import check_options, options
from tests.conftest import ROOT

TABLES = {
    "backbone": BACKBONES,
    "roi_method": REGIONS,
    "global_projection": GLOBAL_VIEWS,
    "text_model": TEXT_MODELS,
    "fusion": FUSIONS,
}
PRUNED_TEXT = {"text_model": "sentence-transformers/all-MiniLM-L6-v2"}


@pytest.mark.parametrize("slot", TABLES)
def test_the_names_are_those_of_the_classes(slot):
    assert list(options(slot)) == list(TABLES[slot])
    for name, option in TABLES[slot].items():
        assert options(slot)[name].get("SIZES", {}) == getattr(option, "SIZES", {})
        assert options(slot)[name].get("tokenizer", "wordpiece") == getattr(option, "tokenizer", "wordpiece")
        assert options(slot)[name].get("finds_regions", False) == getattr(option, "finds_regions", False)


@pytest.mark.parametrize(
    "values",
    [
        *({slot: "nope"} for slot in TABLES),
        {"image_size": [100, 64]},
        {"backbone": "mobilenetv3_small", "image_size": [48, 64]},
        {"text_layers": 1},
        {"text_model": "roberta_tiny", "text_max_length": 65},
        {"global_width": 8},
        PRUNED_TEXT | {"text_layers": 7},
    ],
)
def test_it_refuses_what_build_refuses(values):
    config = EncoderConfig.from_dict(values)
    with pytest.raises(ConfigError) as told:
        check_options(config)
    with pytest.raises(ConfigError) as built:
        build(config, initialize=False)
    assert str(told.value).split(", or timm/NAME")[0] == str(built.value).split(", or timm/NAME")[0]


def test_every_model_of_timm_is_known():
    for name in timm.list_models():
        check_options(EncoderConfig(backbone=f"timm/{name}"))
    check_options(EncoderConfig(backbone="timm/mobilevitv2_050.cvnets_in1k"))


@pytest.mark.parametrize(
    "values", [{"fusion": "mean"}, {"backbone": "timm/mobilenet_v9"}, {"image_size": [100, 64]}]
)
def test_the_export_refuses_it_without_torch(values, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(values))
    script = (
        "import sys; from export.__main__ import main; code = main(sys.argv[1:]); "
        "sys.exit(90 if {'torch', 'timm', 'transformers'} & set(sys.modules) else code)"
    )
    command = [sys.executable, "-c", script, "mine", "--config", config, "--out", tmp_path / "out"]
    result = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("error: ")
