"""Text: what has been typed so far as one token."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import BertConfig, BertModel

HIDDEN = 128
PADDING_BIAS = 1e4
"""Taken off the attention scores of padding; its exponential is 0 in float32 and in fp16."""


class BertTiny(nn.Module):
    """BERT with 2 layers of width 128, its [CLS] state projected to a token.

    Sizes: Turc et al., "Well-Read Students Learn Better" (2019), L=2 H=128, as `prajjwal1/bert-tiny`.

    Args:
        max_length: longest text in tokens.
        dim: width of the token.
        weights: safetensors file of a published BERT of these sizes; None leaves the random initial weights.
    """

    def __init__(self, max_length: int, dim: int, *, weights: Path | None = None):
        super().__init__()
        config = BertConfig(
            vocab_size=30522,
            hidden_size=HIDDEN,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=512,
            max_position_embeddings=max(512, max_length),
            # BERT's own 0.02 is meant for a width of 768; here it would leave the random [CLS] state all but
            # blind to the other tokens.
            initializer_range=HIDDEN**-0.5,
        )
        # Eager attention is plain products and a softmax, which every exporter understands.
        self.bert = BertModel._from_config(config, attn_implementation="eager", add_pooling_layer=False)
        self.projection = nn.Linear(config.hidden_size, dim)
        if weights is not None:
            _load_published(self.bert, weights)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Maps WordPiece ids and their mask, int32 [B, L], to a token, float32 [B, 1, dim]."""
        # BertModel would hide padding behind the smallest float32, which overflows in fp16 arithmetic.
        hidden = (attention_mask[:, None, None, :].float() - 1.0) * PADDING_BIAS  # [B, 1, 1, L]
        states = self.bert.embeddings(input_ids=input_ids)  # [B, L, 128]
        states = self.bert.encoder(states, attention_mask=hidden).last_hidden_state
        return self.projection(states[:, :1])  # [B, 1, 128] -> [B, 1, dim]


def _load_published(bert: BertModel, weights: Path) -> None:
    state = {name.removeprefix("bert."): tensor for name, tensor in load_file(weights).items()}
    missing, _ = bert.load_state_dict(state, strict=False)  # heads of the pre-training tasks are not needed
    missing = [name for name in missing if not name.endswith("position_ids")]
    if missing:
        raise ValueError(f"{weights} lacks {len(missing)} BERT tensors, such as {missing[0]}")


TEXT_MODELS: dict[str, type[nn.Module]] = {"prajjwal1/bert-tiny": BertTiny}
