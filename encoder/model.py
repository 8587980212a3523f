"""The encoder: one straight forward from screenshot, text and user to the embedding."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from encoder.config import TOKEN_DIM, EncoderConfig, choose
from encoder.modules.backbone import Backbone, without_init
from encoder.modules.fusion import FUSIONS
from encoder.modules.global_view import GLOBAL_VIEWS
from encoder.modules.regions import REGIONS
from encoder.modules.slots import GlobalView, Regions, Screen, TextTower
from encoder.modules.text import TEXT_MODELS
from encoder.modules.user import UserMlp
from encoder.options import check_pruned_sizes


class Encoder(nn.Module):
    """Screen-context encoder. Modules arrive built; sizes meet in `build`."""

    def __init__(
        self,
        *,
        backbone: Backbone,
        regions: Regions,
        global_view: GlobalView,
        text: TextTower,
        user: nn.Module,
        fusion: nn.Module,
    ):
        super().__init__()
        self.backbone = backbone
        self.regions = regions
        self.global_view = global_view
        self.text = text
        self.user = user
        self.fusion = fusion

    def encode_screen(self, image: Tensor) -> Tensor:
        """Maps screenshots, uint8 [B, H, W, 3] RGB, to screen tokens, float32 [B, 5, 256].

        The global view comes first, then title, input field, keyboard and status bar.
        """
        screen = Screen(image, self.backbone(image))  # one pass for all five tokens
        return torch.cat([self.global_view(screen), self.regions(screen)], dim=1)

    def find_regions(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Maps screenshots to screen tokens, as `encode_screen`, and soft masks, float32 [B, 4, h, w].

        Only where `regions` finds the regions: `mask_size` of such an encoder is not None.
        """
        screen = Screen(image, self.backbone(image))
        tokens, masks = self.regions.decode(screen)
        return torch.cat([self.global_view(screen), tokens], dim=1), masks

    @property
    def mask_size(self) -> tuple[int, int] | None:
        """Height and width of the regions' masks; None where the regions are fixed."""
        return self.regions.mask_size

    def encode_text(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Maps WordPiece ids and mask (1 = real token), int32 [B, L], to a token, float32 [B, 1, 256]."""
        return self.text(input_ids, attention_mask)

    def fuse(self, screen_tokens: Tensor, text_token: Tensor, user: Tensor) -> Tensor:
        """Fuses tokens and user vectors, float32 [B, U], to unit-length embeddings, float32 [B, 256]."""
        return self.fusion(screen_tokens, text_token, self.user(user))

    def forward(self, image: Tensor, input_ids: Tensor, attention_mask: Tensor, user: Tensor) -> Tensor:
        """Maps a batch of contexts to embeddings, float32 [B, 256], L2-normalized."""
        return self.fuse(self.encode_screen(image), self.encode_text(input_ids, attention_mask), user)


def build(
    config: EncoderConfig | Mapping,
    *,
    seed: int = 0,
    published: Mapping[str, Path] | None = None,
    initialize: bool = True,
) -> Encoder:
    """Builds an encoder in evaluation mode.

    Args:
        config: a configuration, or a plain dict of its keys.
        seed: of the random initial weights; the caller's random state is left as it was.
        published: safetensors files of published weights, for `backbone` and `text`; see `weights.py`.
        initialize: data-dependent initialization of random weights, which takes seconds; False where all
            weights are loaded next.

    Raises:
        ConfigError: an unknown key, option or value, or options that do not fit each other.
    """
    if not isinstance(config, EncoderConfig):
        config = EncoderConfig.from_dict(config)
    published = published or {}
    region_type = choose("roi_method", REGIONS, config.roi_method)
    global_type = choose("global_projection", GLOBAL_VIEWS, config.global_projection)
    text_type = choose("text_model", TEXT_MODELS, config.text_model)
    fusion_type = choose("fusion", FUSIONS, config.fusion)
    for slot, options in (("text_model", TEXT_MODELS), ("global_projection", GLOBAL_VIEWS)):
        check_pruned_sizes(config, slot, {name: option.SIZES for name, option in options.items()})
    with torch.random.fork_rng(devices=[]), nullcontext() if initialize else without_init():
        torch.manual_seed(seed)
        backbone = Backbone(
            config.backbone,
            config.image_size,
            strides=region_type.strides,
            weights=published.get("backbone"),
        )
        encoder = Encoder(
            backbone=backbone,
            regions=region_type(backbone, TOKEN_DIM),
            global_view=global_type(backbone, TOKEN_DIM, **config.pruned_sizes("global_projection")),
            text=text_type(
                config.text_max_length,
                TOKEN_DIM,
                weights=published.get("text"),
                **config.pruned_sizes("text_model"),
            ),
            user=UserMlp(config.user_embed_dim, TOKEN_DIM),
            fusion=fusion_type(
                TOKEN_DIM,
                layers=config.fusion_layers,
                heads=config.fusion_heads,
                ffn_dim=config.fusion_ffn_dim,
            ),
        )
    return encoder.eval()


def count_parameters(encoder: Encoder) -> dict[str, int]:
    """Counts parameters by submodule (`vision`, `text`, `fuse`) and in `total`."""
    parts = {
        "vision": (encoder.backbone, encoder.regions, encoder.global_view),
        "text": (encoder.text,),
        "fuse": (encoder.user, encoder.fusion),
    }
    counts = {
        part: sum(parameter.numel() for module in modules for parameter in module.parameters())
        for part, modules in parts.items()
    }
    return {"total": sum(counts.values()), **counts}
