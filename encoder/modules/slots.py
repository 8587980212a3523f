"""What the options of each slot declare of themselves, and what they are given and return.

An option is a class in its slot's file that derives from the slot's class here. What it does not
declare has the value that stands here.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from torch import Tensor, nn


class Screen(NamedTuple):
    """What the regions and the global view read.

    Attributes:
        image: RGB bytes, uint8 [B, H, W, 3].
        maps: the backbone's feature maps, float32 [B, C, h, w] each, finest first.
    """

    image: Tensor
    maps: tuple[Tensor, ...]

    @property
    def features(self) -> Tensor:
        """The deepest map, float32 [B, C, h, w]."""
        return self.maps[-1]


class GlobalView(nn.Module):
    """The whole screen as a token: built with `(backbone, dim)`, maps a `Screen` to float32 [B, 1, dim]."""

    SIZES: ClassVar[dict[str, int]] = {}
    """Sizes that a config may shrink, by argument of the constructor, with the published value."""


class Regions(nn.Module):
    """Four parts of the screen: built with `(backbone, dim)`, maps a `Screen` to float32 [B, 4, dim]."""

    strides: ClassVar[tuple[int, ...]] = ()
    """Of the maps that are needed beside the deepest one, finest first."""
    mask_size: tuple[int, int] | None = None
    """Height and width of the masks; None where the regions are fixed."""
    finds_regions: ClassVar[bool] = False
    """Whether the regions are found on each screen; then `masks` and `decode` are there."""

    def masks(self, screen: Screen) -> Tensor:
        """Maps a screen to soft masks, float32 [B, 4, h, w] in [0, 1]."""
        raise NotImplementedError

    def decode(self, screen: Screen) -> tuple[Tensor, Tensor]:
        """Maps a screen to region tokens and masks at once."""
        raise NotImplementedError


class TextTower(nn.Module):
    """Typed text as a token: built with `(max_length, dim, weights=)`.

    Maps ids and their mask, int32 [B, L], to float32 [B, 1, dim].
    """

    SIZES: ClassVar[dict[str, int]] = {}
    """As of `GlobalView`."""
    LONGEST: ClassVar[int | None] = None
    """Longest text in tokens that it has positions for; None where it has as many as are asked for."""
    tokenizer: ClassVar[str] = "wordpiece"
    """Which of `tokenizers.TOKENIZERS` cuts its texts."""
