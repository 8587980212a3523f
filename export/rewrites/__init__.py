"""Exact rewrites before tracing: one a file, each equal to the untouched module within 1e-5."""

from __future__ import annotations

import copy

import torch

from encoder.model import Encoder
from export.rewrites.cls_only import cls_only
from export.rewrites.fold_batch_norm import fold_batch_norm
from export.rewrites.fold_input_scale import fold_input_scale
from export.rewrites.head_layout import head_layout
from export.rewrites.patch_tokens import patch_tokens
from export.rewrites.query_only import query_only
from export.rewrites.rms_norms import rms_norms

# Norms are carried into packed projections, so they come before attention is split.
REWRITES = (
    fold_batch_norm, rms_norms, head_layout, patch_tokens, fold_input_scale, cls_only, query_only
)  # fmt: skip


@torch.no_grad()
def rewrite(encoder: Encoder) -> Encoder:
    """Returns a rewritten copy in evaluation mode; the encoder itself stays as it is."""
    rewritten = copy.deepcopy(encoder).eval()
    for apply in REWRITES:
        apply(rewritten)
    return rewritten
