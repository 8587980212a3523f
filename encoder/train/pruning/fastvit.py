"""Cuts channels out of MobileCLIP's image tower, so that it becomes the tower of a smaller width.

Which channels belong together follows from torch-pruning's dependency graph (Fang et al., "DepGraph", 2023),
and which of them matter from its magnitude importance of each group. How many are kept is what the smaller
tower's constructor says, so that the weights that are left are that tower's.
"""

from __future__ import annotations

import copy
import gc
from collections.abc import Sequence

import torch
import torch_pruning as tp
from timm.models.fastvit import Attention
from torch import Tensor, nn

from encoder.modules.global_view import MobileClip

TRACED_SIZE = (64, 64)
"""Height and width, in pixels, of the image that the graph is traced with."""


class _Expanding(nn.Conv2d):
    """A convolution with an input channel a group and several outputs of it: it leads from stage to stage."""


class _ExpandingPruner(tp.pruner.function.ConvPruner):
    """Cuts inputs and outputs apart, as the graph sees them; `cut_mobileclip` keeps them in step."""

    def prune_in_channels(self, layer: _Expanding, idxs: Sequence[int]) -> _Expanding:
        """Forgets input channels; their weights go with the outputs."""
        layer.in_channels -= len(idxs)
        layer.groups -= len(idxs)
        return layer


def cut_mobileclip(view: MobileClip, smaller: MobileClip) -> None:
    """Gives a smaller global view the channels of a larger one that matter most.

    Args:
        view: stays as it is.
        smaller: gets its weights, in place.
    """
    view = copy.deepcopy(view)
    names = {module: name for name, module in view.named_modules()}
    groups, importance = _groups(view), tp.importance.GroupMagnitudeImportance()
    scores = [importance(group) for group in groups]
    streams = [any(isinstance(dep.target.module, _Expanding) for dep, _ in group) for group in groups]
    units = view.tower.stem[0].out_chs
    # A channel of the first stage leads to two of the second, four of the third and so on: all stay, or none.
    of_units = sum(own.view(units, -1).mean(1) for own, stream in zip(scores, streams, strict=True) if stream)
    for group, own, stream in zip(groups, scores, streams, strict=True):
        root = group[0].dep.target.module
        if stream:
            own = of_units.repeat_interleave(len(own) // units)
        elif isinstance(parent := view.get_submodule(names[root].rpartition(".")[0]), Attention):
            own = _of_heads(own, parent.num_heads)
        kept = smaller.get_submodule(names[root]).weight.shape[0]
        group.prune(own.argsort(stable=True)[: len(own) - kept].tolist())
    smaller.load_state_dict(view.state_dict())
    del group, groups, root
    gc.collect()  # the graph is full of cycles over autograd's functions, which crash an ending interpreter


def _groups(view: MobileClip) -> list[tp.dependency.Group]:
    """All sets of channels that can only be cut together."""
    for module in view.modules():
        if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels < module.out_channels:
            module.__class__ = _Expanding
    graph = tp.DependencyGraph().build_dependency(
        view,
        torch.zeros(1, 3, *TRACED_SIZE),
        forward_fn=lambda whole, pixels: whole.projection(whole.tower(pixels)),
        customized_pruners={_Expanding: _ExpandingPruner()},
        verbose=False,
    )
    return list(graph.get_all_groups(ignored_layers=[view.projection]))


def _of_heads(scores: Tensor, heads: int) -> Tensor:
    """Gives all channels of a head the head's score; float32 [3 * heads * D], queries, keys and values."""
    by_head = scores.view(3, heads, -1)  # [3, heads, D]
    return by_head.sum(dim=(0, 2), keepdim=True).expand_as(by_head).flatten()
