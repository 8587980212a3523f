"""Residual branches of a backbone that are switched off: a block whose branch adds zero passes its input on.

A branch whose last batch norm scales and shifts by zero adds nothing, whatever it computes. So the weights
alone say that a block is left out: the encoder keeps its shape, published weights still fit, training skips
the block and an export drops it. What it saves is most in the first stages, which see the most pixels.
"""

from __future__ import annotations

from collections.abc import Iterable

from timm.models.byobnet import BottleneckBlock
from torch import nn


class DisabledBlock(BottleneckBlock):
    """A block whose branch adds zero, and therefore is not computed."""

    def forward(self, features):
        """Maps float32 [B, C, h, w] to itself."""
        return features


def residual_blocks(backbone: nn.Module) -> dict[str, BottleneckBlock]:
    """Returns the blocks that could be switched off, by their names in the timm model, such as `stages_0.0`.

    These are timm's bottlenecks whose input passes by unchanged: those of MobileViT's first stages, for one.

    Args:
        backbone: an encoder's.
    """
    return {
        name.removeprefix("features."): block
        for name, block in backbone.named_modules()
        if isinstance(block, BottleneckBlock)
        and all(isinstance(part, nn.Identity) for part in (block.shortcut, block.attn_last, block.act))
        and isinstance(getattr(block.conv3_1x1, "bn", None), nn.BatchNorm2d)
    }


def disable_blocks(backbone: nn.Module, names: Iterable[str]) -> None:
    """Switches blocks off, in place.

    Args:
        backbone: an encoder's.
        names: of blocks, as `residual_blocks` names them.

    Raises:
        ValueError: the backbone has no such block; the message lists those that it has.
    """
    blocks = residual_blocks(backbone)
    for name in names:
        if name not in blocks:
            found = ", ".join(blocks) or "none"
            raise ValueError(f"the backbone has no residual block {name!r}; it has: {found}")
        norm = blocks[name].conv3_1x1.bn
        nn.init.zeros_(norm.weight)
        nn.init.zeros_(norm.bias)


def disabled_blocks(backbone: nn.Module) -> dict[str, BottleneckBlock]:
    """Returns the blocks that are switched off, by name."""
    return {name: block for name, block in residual_blocks(backbone).items() if _adds_zero(block)}


def _adds_zero(block: BottleneckBlock) -> bool:
    norm = block.conv3_1x1.bn
    if norm.weight.is_meta:
        return False  # a model without values, built to be counted
    return not norm.weight.any() and not norm.bias.any()
