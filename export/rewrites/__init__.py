"""Exact rewrites before tracing: one a file, each equal to the untouched module within 1e-5."""

from __future__ import annotations

import copy

import torch

from encoder.model import Encoder
from export.rewrites.cls_only import cls_only
from export.rewrites.fold_batch_norm import fold_batch_norm
from export.rewrites.query_only import query_only

REWRITES = (fold_batch_norm, cls_only, query_only)


@torch.no_grad()
def rewrite(encoder: Encoder) -> Encoder:
    """Returns a rewritten copy in evaluation mode; the encoder itself stays as it is."""
    rewritten = copy.deepcopy(encoder).eval()
    for apply in REWRITES:
        apply(rewritten)
    return rewritten
