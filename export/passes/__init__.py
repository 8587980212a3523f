"""Exact rewrites before tracing: one a file, each equal to the untouched module within 1e-5."""

from __future__ import annotations

import copy

import torch

from encoder.model import Encoder
from export.passes.bands import bands
from export.passes.borders import borders
from export.passes.constant_prompts import constant_prompts
from export.passes.drop_disabled import drop_disabled
from export.passes.fold_batch_norm import fold_batch_norm
from export.passes.fold_input_scale import fold_input_scale
from export.passes.head_layout import head_layout
from export.passes.linear_attention import linear_attention
from export.passes.patch_tokens import patch_tokens
from export.passes.query_only import query_only
from export.passes.reparameterize import reparameterize
from export.passes.rms_norms import rms_norms
from export.passes.text_rows import text_rows
from export.passes.unroll_lstm import unroll_lstm

# Norms are carried into packed projections, so they come before attention is split.
REWRITES = (
    reparameterize, drop_disabled, fold_batch_norm, rms_norms, head_layout, patch_tokens, linear_attention,
    fold_input_scale, bands, borders, text_rows, query_only, unroll_lstm, constant_prompts,
)  # fmt: skip


@torch.no_grad()
def apply_passes(encoder: Encoder) -> Encoder:
    """Returns a rewritten copy in evaluation mode; the encoder itself stays as it is."""
    rewritten = copy.deepcopy(encoder).eval()
    for apply in REWRITES:
        apply(rewritten)
    return rewritten
