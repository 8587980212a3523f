"""What an encoder is made of: one frozen configuration, and the presets that users name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.truncation import LEFT, TRUNCATIONS

ASSETS = Path(__file__).parent / "assets"
VOCABULARY = Path(__file__).parent / "assets/vocab.txt"
"""WordPiece vocabulary of the uncased BERT models, 30,522 pieces."""
BYTE_BPE = Path(__file__).parent / "assets/byte_bpe"
"""Byte-level BPE trained on the project's corpora, `vocab.json` and `merges.txt` (`train/tokenizer.py`)."""
BYTE_BPE_SIZE = 16000
CHECKPOINTS = ASSETS / "checkpoints"
"""Trained weights of this project, PRESET.safetensors."""

TOKEN_DIM = 256
"""Width of every token that meets in the fusion layer, and of the embedding."""


FUSION_LAYERS = {"single_layer_transformer": 1, "two_layer_transformer": 2, "cross_attention_only": 1}
"""Layers of each fusion (`fusion.py`) whose name says how many it has; other fusions have any number."""
DEEP_FUSION = "deep_transformer"
"""Fusion of a config that names none and asks for more than two layers."""
RANGES = {
    "image_size": (1, 2048),
    "text_max_length": (3, 512),
    "fusion_layers": (1, 24),
    "fusion_heads": (1, TOKEN_DIM),
    "fusion_ffn_dim": (1, 8192),
    "user_embed_dim": (1, 4096),
    "text_layers": (1, 24),
    "text_ffn_dim": (1, 8192),
    "text_embedding_rank": (1, 1024),
    "global_width": (1, 512),
}
"""Least and most of every size, of each side for the image: generous, but what is inside can be built.

Options have narrower bounds of their own."""
LONGEST_NAME = 100
_MOST_QUOTED = 200


class ConfigError(ValueError):
    """A configuration that cannot be built; the message names the key and the valid values."""


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Names one option for each slot of the encoder, with its sizes.

    Attributes:
        backbone: what turns the screen into feature maps (`backbone.py`).
        backbone_pretrained: take published weights of backbone and text model, where none are trained.
        roi_method: how the four regions of the screen become tokens (`regions.py`).
        global_projection: how the whole screen becomes a token (`global_view.py`).
        text_model: the text tower (`text.py`).
        text_max_length: tokens a text is padded or cut to.
        text_truncation: the side that a longer text is cut on: "left" keeps its end, "right" its beginning.
        text_projection_dim: width of the text token; equals the fusion's width.
        fusion: how the tokens become one embedding (`fusion.py`); where it is left out, the transformer that
            has `fusion_layers` layers.
        fusion_layers: transformer layers over the tokens; where it is left out, what `fusion` says.
        fusion_heads: attention heads a layer.
        fusion_ffn_dim: hidden width of a layer's feed-forward part.
        user_embed_dim: length of the app's user vector.
        user_proj_dim: width of the user token; equals the fusion's width.
        image_size: height and width, in pixels, that the screenshot is resized to.
        text_layers, text_ffn_dim, text_embedding_rank: of a pruned text tower; None is its own size. With a
            rank, word vectors are that narrow, and one linear layer widens them.
        global_width: channels of the first stage of a pruned image tower of the global view, a multiple of 4;
            each later stage has twice as many. None is its own size.
    """

    backbone: str = "mobilevit_xxs"
    backbone_pretrained: bool = True
    roi_method: str = "fixed_grid"
    global_projection: str = "simple_mlp"
    text_model: str = "prajjwal1/bert-tiny"
    text_max_length: int = 64
    text_truncation: str = LEFT
    text_projection_dim: int = TOKEN_DIM
    fusion: str | None = None
    fusion_layers: int | None = None
    fusion_heads: int = 8
    fusion_ffn_dim: int = 1024
    user_embed_dim: int = 64
    user_proj_dim: int = TOKEN_DIM
    image_size: tuple[int, int] = (256, 128)
    text_layers: int | None = None
    text_ffn_dim: int | None = None
    text_embedding_rank: int | None = None
    global_width: int | None = None

    def __post_init__(self):
        """Checks types and ranges, so that a wrong value is named here and not deep inside a layer."""
        if isinstance(self.image_size, list):
            object.__setattr__(self, "image_size", tuple(self.image_size))
        for field in dataclasses.fields(self):
            value, expected = getattr(self, field.name), _OPTIONAL.get(field.name, type(field.default))
            if not (value is None and field.name in _OPTIONAL):
                _check_type(field.name, value, expected)
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            sizes = value if name == "image_size" else () if value is None else (value,)
            if not all(least <= size <= most for size in sizes):
                raise ConfigError(f"{name} is {_shown(value)}; it must be from {least} to {most}")
        if self.text_truncation not in TRUNCATIONS:
            raise ConfigError(
                f"text_truncation is {_shown(self.text_truncation)}; it must be {' or '.join(TRUNCATIONS)}"
            )
        self._complete_fusion()
        for name in ("text_projection_dim", "user_proj_dim"):
            if getattr(self, name) != TOKEN_DIM:
                raise ConfigError(
                    f"{name} is {_shown(getattr(self, name))}; it must be {TOKEN_DIM}, the width of the "
                    "fused tokens"
                )
        if TOKEN_DIM % self.fusion_heads:
            raise ConfigError(f"fusion_heads is {self.fusion_heads}; it must divide {TOKEN_DIM}")

    def _complete_fusion(self) -> None:
        """Fills in whichever of `fusion` and `fusion_layers` was left out, and refuses a contradiction."""
        fusion, layers = self.fusion, self.fusion_layers
        if fusion is None:
            plain = {1: "single_layer_transformer", 2: "two_layer_transformer"}
            fusion = plain.get(1 if layers is None else layers, DEEP_FUSION)
        expected = FUSION_LAYERS.get(fusion)
        if layers is None:
            layers = 1 if expected is None else expected
        elif expected not in (None, layers):
            raise ConfigError(
                f"{fusion!r} has {expected} layer{'s' * (expected > 1)}, but fusion_layers is {layers}; "
                "leave fusion_layers out, or name another fusion"
            )
        object.__setattr__(self, "fusion", fusion)
        object.__setattr__(self, "fusion_layers", layers)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderConfig:
        """Reads a plain dict, such as one parsed from JSON.

        Raises:
            ConfigError: an unknown key (the valid ones are listed) or a value of the wrong type.
        """
        valid = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(valid))
        if unknown:
            given = ", ".join(map(_shown, unknown[:3]))
            raise ConfigError(f"unknown config key {given}; valid keys: {', '.join(valid)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Returns a dict that JSON can hold and `from_dict` reads back.

        Sizes of pruned options are in it only where they are given.
        """
        values = dataclasses.asdict(self)
        values["image_size"] = list(self.image_size)
        return {key: value for key, value in values.items() if key not in PRUNED_KEYS or value is not None}

    def pruned_sizes(self, slot: str) -> dict[str, int]:
        """Returns the sizes that the option of a slot is built with in place of its own, by argument."""
        keys = [key for key, of in PRUNED_KEYS.items() if of == slot and getattr(self, key) is not None]
        return {key.split("_", 1)[1]: getattr(self, key) for key in keys}


PRUNED_KEYS = {
    "text_layers": "text_model",
    "text_ffn_dim": "text_model",
    "text_embedding_rank": "text_model",
    "global_width": "global_projection",
}
"""Keys that give a pruned option its size, with the option's slot. What follows the first underscore is the
argument of the option's class."""
_OPTIONAL = {"fusion": str, "fusion_layers": int} | dict.fromkeys(PRUNED_KEYS, int)
"""Keys that may be left out: of two each follows from the other, and the rest are an option's own sizes."""


def _check_type(name: str, value: object, expected: type) -> None:
    if expected is tuple:
        whole = isinstance(value, tuple) and all(type(side) is int for side in value)
        if not whole or len(value) != 2:
            raise ConfigError(f"{name} is {_shown(value)}; it must be two whole numbers, height and width")
    elif type(value) is not expected:
        raise ConfigError(f"{name} is {_shown(value)}; it must be of type {expected.__name__}")
    elif expected is str and len(value) > LONGEST_NAME:
        raise ConfigError(f"{name} is {_shown(value)}; it must be at most {LONGEST_NAME} characters")


def _shown(value: object) -> str:
    """What was given, as an error repeats it: its first characters."""
    text = repr(value)
    return text if len(text) <= _MOST_QUOTED else text[: _MOST_QUOTED - 3] + "..."


PRESETS: dict[str, EncoderConfig] = {
    "balanced": EncoderConfig(),
    "balanced_sam": EncoderConfig(roi_method="custom_sam_lite"),
    "high_performance": EncoderConfig(
        roi_method="mobilesam_pruned",
        global_projection="mobileclip_s0",
        text_model="sentence-transformers/all-MiniLM-L6-v2",
        fusion="two_layer_transformer",
    ),
    "high_performance_pruned": EncoderConfig(
        roi_method="mobilesam_pruned",
        global_projection="mobileclip_s0",
        text_model="sentence-transformers/all-MiniLM-L6-v2",
        fusion="two_layer_transformer",
        text_layers=3,
        text_ffn_dim=384,
        text_embedding_rank=56,
        global_width=24,
    ),
    "ultralight": EncoderConfig(
        backbone="mobilenetv3_small",
        global_projection="avg_pool_mlp",
        text_model="custom_lstm",
        fusion="cross_attention_only",
    ),
}


def preset(name: str) -> EncoderConfig:
    """Returns the configuration of a preset.

    Raises:
        ConfigError: there is no such preset; the message lists the valid names.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {_shown(name)}; valid presets: {', '.join(PRESETS)}")
    return PRESETS[name]


def find_checkpoint(config: EncoderConfig) -> Path | None:
    """Returns the committed checkpoint of the preset that has this config, if there is one."""
    for name, known in PRESETS.items():
        path = CHECKPOINTS / f"{name}.safetensors"
        if known == config and path.is_file():
            return path
    return None


def choose(slot: str, options: Mapping[str, Any], name: str) -> Any:
    """Returns the option of a slot by its name.

    Raises:
        ConfigError: there is no such option; the message lists the valid names.
    """
    if name not in options:
        raise ConfigError(f"unknown {slot} {name!r}; valid options: {', '.join(options)}")
    return options[name]
