"""Regions found by an image encoder of their own: MobileSAM (Zhang et al., 2023) at a fifth of its size."""

from __future__ import annotations

import timm.models.tiny_vit
from torch import Tensor, nn

from encoder.modules.backbone import Backbone, data_dependent_init, noise_screens, pixel_statistics
from encoder.modules.mask_decoder import MaskDecoder, MaskPool, mask_size
from encoder.modules.slots import Regions, Screen

WIDTHS = (32, 64, 96, 160)
"""Of TinyViT's four stages; MobileSAM's has 64, 128, 160 and 320."""
DEPTHS = (2, 2, 4, 2)
HEADS = (1, 2, 3, 5)
WINDOWS = (4, 8, 8, 4)
"""Sides of the windows within which pixels attend to each other; at 256x128 they fill the maps."""
STATISTICS_OF = "tiny_vit_5m_224"


class TinyVitMaps(nn.Module):
    """A small TinyViT (Wu et al., 2022) on the screenshot itself, its last three maps."""

    def __init__(self):
        super().__init__()
        self.vit = timm.models.tiny_vit.TinyVit(
            num_classes=0,
            embed_dims=WIDTHS,
            depths=DEPTHS,
            num_heads=HEADS,
            window_sizes=WINDOWS,
            drop_path_rate=0.0,
        )
        self.vit.head = nn.Identity()  # what pools for a classifier is not needed
        mean, std = pixel_statistics(STATISTICS_OF)
        self.register_buffer("scale", 1.0 / (255.0 * std), persistent=False)
        self.register_buffer("offset", -mean / std, persistent=False)
        data_dependent_init(self.vit, lambda: self._stages((noise_screens() - mean) / std))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Maps RGB bytes, uint8 [B, H, W, 3], to float32 [B, C, h, w] at 1/8, 1/16 and 1/32."""
        pixels = image.permute(0, 3, 1, 2).float()  # [B, 3, H, W]
        return self._stages(pixels * self.scale + self.offset)

    def _stages(self, pixels: Tensor) -> tuple[Tensor, ...]:
        features, maps = self.vit.patch_embed(pixels), []
        for stage in self.vit.stages:
            features = stage(features)
            maps.append(features)
        return tuple(maps[1:])


class MobileSamPruned(Regions):
    """Masks from a TinyViT image encoder and a mask decoder, 2.0 million parameters together.

    The tokens are pooled from the decoder's pixels and from the backbone's deepest map.

    Args:
        backbone: gives the channels of its deepest map.
        dim: width of a token.
    """

    finds_regions = True

    def __init__(self, backbone: Backbone, dim: int):
        super().__init__()
        self.mask_size = mask_size(backbone)
        self.image_encoder = TinyVitMaps()
        self.decoder = MaskDecoder(WIDTHS[1:])
        self.pool = MaskPool(self.decoder.pixel_dim, backbone.channels, dim)

    def forward(self, screen: Screen) -> Tensor:
        """Maps a screen to region tokens, float32 [B, 4, dim]."""
        return self.decode(screen)[0]

    def masks(self, screen: Screen) -> Tensor:
        """Maps a screen to soft masks in [0, 1], float32 [B, 4, H / 8, W / 8]; 1 = inside the region.

        Only the screenshot is looked at.
        """
        return self.decoder(self.image_encoder(screen.image))[0]

    def decode(self, screen: Screen) -> tuple[Tensor, Tensor]:
        """Maps a screen to its tokens and its masks, as `forward` and `masks` give them."""
        masks, pixels = self.decoder(self.image_encoder(screen.image))
        return self.pool(masks, pixels, screen.features), masks
