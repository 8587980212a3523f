"""Writes BERT as operators on rows, one a token: for a text of any length, and with fewer of them.

A tensor of a text has its tokens on one axis alone, which an engine may resize (`convert/any_length.py`), and
positions are counted along it. The last layer of a tower that reads [CLS] alone computes queries, output
projection and feed-forward part for that row; keys and values still come from all. The one token type is part
of the positions, and the scale of the scores of the query projection.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.bert.modeling_bert import BertLayer

from encoder.model import Encoder
from encoder.modules.text import PADDING_BIAS, BertTiny, MiniLm, RobertaTiny


class RowLayer(nn.Module):
    """A transformer layer that equals `BertLayer`, from the same weights."""

    def __init__(self, layer: BertLayer):
        super().__init__()
        attention = layer.attention.self
        self.heads = attention.num_attention_heads
        scale = attention.attention_head_size**-0.5
        self.query = nn.Linear(attention.query.in_features, attention.query.out_features)
        self.query.weight = nn.Parameter(attention.query.weight * scale)
        self.query.bias = nn.Parameter(attention.query.bias * scale)
        self.key, self.value = attention.key, attention.value
        self.mixed, self.mixed_norm = layer.attention.output.dense, layer.attention.output.LayerNorm
        self.intermediate, self.activation = layer.intermediate.dense, layer.intermediate.intermediate_act_fn
        self.output, self.output_norm = layer.output.dense, layer.output.LayerNorm

    def forward(self, rows: Tensor, padding: Tensor, read: int | None) -> Tensor:
        """Maps float32 [n, D] and what is added to scores, [1, 1, n], to the first `read` rows, [read, D]."""
        chosen = rows[:read]
        query, key, value = map(self._heads, (self.query(chosen), self.key(rows), self.value(rows)))
        shares = torch.softmax(query @ key.transpose(1, 2) + padding, dim=-1)  # [heads, read, n]
        mixed = (shares @ value).transpose(0, 1).flatten(1)  # [read, D]
        mixed = self.mixed_norm(chosen + self.mixed(mixed))
        return self.output_norm(mixed + self.output(self.activation(self.intermediate(mixed))))

    def _heads(self, rows: Tensor) -> Tensor:
        """[n, D] -> [heads, n, D / heads]."""
        return rows.unflatten(1, (self.heads, -1)).transpose(0, 1)


class TextRows(nn.Module):
    """Text tower that equals `BertTiny` or `RobertaTiny`, from the same weights, for one text."""

    def __init__(self, text: BertTiny | RobertaTiny | MiniLm):
        super().__init__()
        embeddings = text.bert.embeddings
        self.words, self.norm = embeddings.word_embeddings, embeddings.LayerNorm
        self.layers = nn.ModuleList(map(RowLayer, text.bert.encoder.layer))
        self.projection = text.projection
        skipped = text.PAD + 1 if isinstance(text, RobertaTiny) else 0
        table = embeddings.position_embeddings.weight[skipped:] + embeddings.token_type_embeddings.weight[0]
        # Row n is the n-th token's; nothing reads row 0.
        self.register_buffer("positions", F.pad(table[: text.max_length], (0, 0, 1, 0)))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Maps int32 [1, n] twice, n of `max_length` at most, to float32 [1, 1, dim]."""
        return self.projection(self.states(input_ids, attention_mask, 1))[None]

    def states(self, input_ids: Tensor, attention_mask: Tensor, read: int | None) -> Tensor:
        """Returns the first `read` rows of the last layer, or all, float32 [read, D]."""
        padding = (attention_mask[None].float() - 1.0) * PADDING_BIAS  # [1, 1, n]
        # Padding has positions of its own too: its values are part of what ranges are taken from.
        places = attention_mask[0].clamp(min=1).cumsum(0, dtype=torch.int32)  # [n], from 1 on
        rows = self.norm(self.words(input_ids[0]) + F.embedding(places, self.positions))  # [n, D]
        *layers, last = self.layers
        for layer in layers:
            rows = layer(rows, padding, None)
        return last(rows, padding, read)


class SentenceRows(TextRows):
    """Text tower that equals `MiniLm`, from the same weights, for one text."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Maps int32 [1, n] twice, n of `max_length` at most, to float32 [1, 1, dim]."""
        mask = attention_mask.float()  # [1, n]
        sentence = (mask / mask.sum(dim=1, keepdim=True)) @ self.states(
            input_ids, attention_mask, None
        )  # [1, D]
        return self.projection(F.normalize(sentence, dim=-1))[None]


def text_rows(encoder: Encoder) -> None:
    """Replaces, in place, a text tower of BERT; others stay."""
    if isinstance(encoder.text, (BertTiny, RobertaTiny)):
        encoder.text = TextRows(encoder.text)
    elif isinstance(encoder.text, MiniLm):
        encoder.text = SentenceRows(encoder.text)
