"""Folds each batch norm into the convolution before it.

In evaluation mode a batch norm is one multiply and one add a channel, both linear, so the convolution's
weights and bias can carry them. The converters fold most norms too; folded here, both files start from the
same weights, and none depends on what a converter recognizes.
"""

from __future__ import annotations

from itertools import pairwise

from timm.layers import BatchNormAct2d, ConvNormAct
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class NormFolded(nn.Module):
    """What is left of a batch norm with activation once the convolution carries the norm."""

    def __init__(self, norm: BatchNormAct2d):
        super().__init__()
        self.act = norm.act

    def forward(self, features):
        """Maps float32 [B, C, h, w] to the same shape."""
        return self.act(features)


def fold_batch_norm(module: nn.Module) -> None:
    """Folds, in place, the batch norms of timm's convolution blocks and of plain sequences of both."""
    for child in module.modules():
        if isinstance(child, ConvNormAct) and isinstance(child.bn, BatchNormAct2d):
            child.conv = fuse_conv_bn_eval(child.conv, child.bn)
            child.bn = NormFolded(child.bn)
        elif isinstance(child, nn.Sequential):
            _fold_sequence(child)


def _fold_sequence(sequence: nn.Sequential) -> None:
    names = list(sequence._modules)
    for first, second in pairwise(names):
        conv, norm = sequence._modules[first], sequence._modules[second]
        if isinstance(conv, nn.Conv2d) and type(norm) is nn.BatchNorm2d:
            sequence._modules[first] = fuse_conv_bn_eval(conv, norm)
            sequence._modules[second] = nn.Identity()
