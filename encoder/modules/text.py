"""Text: what has been typed so far as one token."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from encoder.config import BYTE_BPE_SIZE, ConfigError
from encoder.modules.slots import TextTower
from encoder.options import check_text_length
from encoder.tensors import load_tensors, read_tensors

HIDDEN = 128
VOCABULARY_SIZE = 30522
"""Pieces of the uncased BERT vocabulary (`config.VOCABULARY`)."""
PADDING_BIAS = 1e4
"""Taken off the attention scores of padding; its exponential is 0 in float32 and in fp16."""


class BertTiny(TextTower):
    """BERT with 2 layers of width 128, its [CLS] state projected to a token.

    Sizes: Turc et al., "Well-Read Students Learn Better" (2019), L=2 H=128, as `prajjwal1/bert-tiny`.

    Args:
        max_length: longest text in tokens.
        dim: width of the token.
        weights: safetensors file of a published BERT of these sizes; None leaves the random initial weights.
    """

    def __init__(self, max_length: int, dim: int, *, weights: Path | None = None):
        super().__init__()
        self.max_length = max_length
        config = BertConfig(
            vocab_size=VOCABULARY_SIZE,
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
        states = self.bert.embeddings(input_ids=input_ids)  # [B, L, 128]
        states = self.bert.encoder(states, attention_mask=padding_bias(attention_mask)).last_hidden_state
        return self.projection(states[:, :1])  # [B, 1, 128] -> [B, 1, dim]


def padding_bias(attention_mask: Tensor) -> Tensor:
    """Maps a mask, int32 [B, L], to what is added to attention scores, float32 [B, 1, 1, L].

    BertModel's own would hide padding behind the smallest float32, which overflows in fp16 arithmetic.
    """
    return (attention_mask[:, None, None, :].float() - 1.0) * PADDING_BIAS


def _load_published(bert: BertModel | RobertaModel, weights: Path) -> None:
    """Loads a published model, by today's names or TensorFlow's; heads of its pre-training are not needed."""
    prefix, state = f"{bert.base_model_prefix}.", {}
    for name, tensor in read_tensors(weights).items():
        own = name.removeprefix(prefix).replace("LayerNorm.gamma", "LayerNorm.weight")
        state[own.replace("LayerNorm.beta", "LayerNorm.bias")] = tensor
    needed = {name: state[name] for name in bert.state_dict() if name in state}
    load_tensors(bert, needed, weights, of="text model")


class RobertaTiny(TextTower):
    """RoBERTa with 2 layers of width 312, its <s> state projected to a token.

    The vocabulary is a byte-level BPE of 16,000 pieces, trained on the project's corpora: the 50,265 pieces
    that RoBERTa was published with are 15.7 million parameters at this width, more than the 13.8 million that
    the whole encoder may have.

    Args:
        max_length: longest text in tokens, at most 64.
        dim: width of the token.
        weights: safetensors file of a RoBERTa of these sizes; None leaves the random initial weights.

    Raises:
        ConfigError: texts are to be longer than its positions.
    """

    tokenizer = "byte_bpe"
    HIDDEN = 312
    LONGEST = 64
    PAD = 1
    """Id of <pad>; RoBERTa counts positions from the number behind it."""

    def __init__(self, max_length: int, dim: int, *, weights: Path | None = None):
        super().__init__()
        self.max_length = max_length
        check_text_length("roberta_tiny", max_length, self.LONGEST)
        config = RobertaConfig(
            vocab_size=BYTE_BPE_SIZE,
            hidden_size=self.HIDDEN,
            num_hidden_layers=2,
            num_attention_heads=12,
            intermediate_size=4 * self.HIDDEN,
            max_position_embeddings=self.LONGEST + self.PAD + 1,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            pad_token_id=self.PAD,
            initializer_range=self.HIDDEN**-0.5,  # as in BertTiny
        )
        self.bert = RobertaModel._from_config(config, attn_implementation="eager", add_pooling_layer=False)
        self.projection = nn.Linear(config.hidden_size, dim)
        if weights is not None:
            _load_published(self.bert, weights)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Maps byte-level BPE ids and their mask, int32 [B, L], to a token, float32 [B, 1, dim]."""
        places = torch.arange(self.PAD + 1, self.PAD + 1 + input_ids.shape[1], device=input_ids.device)
        states = self.bert.embeddings(input_ids=input_ids, position_ids=places[None])  # [B, L, 312]
        states = self.bert.encoder(states, attention_mask=padding_bias(attention_mask)).last_hidden_state
        return self.projection(states[:, :1])  # [B, 1, 312] -> [B, 1, dim]


class MiniLm(TextTower):
    """all-MiniLM-L6-v2: BERT with 6 layers of width 384; its sentence embedding, projected to a token.

    Wang et al., "MiniLM" (2020), as Sentence Transformers publishes it: the mean of the last states of all
    real tokens, L2-normalized. A pruned one is smaller than what `SIZES` says.

    Args:
        max_length: longest text in tokens.
        dim: width of the token.
        weights: safetensors file of the published model; None leaves the random initial weights.
        layers: of the transformer.
        ffn_dim: hidden width of a layer's feed-forward part.
        embedding_rank: width of the word vectors, an even number, which one linear layer widens to 384; None
            has them of full width.
    """

    HIDDEN = 384
    SIZES: ClassVar[dict[str, int]] = {"layers": 6, "ffn_dim": 1536, "embedding_rank": 384}

    def __init__(
        self,
        max_length: int,
        dim: int,
        *,
        weights: Path | None = None,
        layers: int = SIZES["layers"],
        ffn_dim: int = SIZES["ffn_dim"],
        embedding_rank: int | None = None,
    ):
        super().__init__()
        self.max_length = max_length
        if embedding_rank is not None and embedding_rank % 2:
            raise ConfigError(
                f"text_embedding_rank is {embedding_rank}; it must be even: numbers are packed in pairs"
            )
        config = BertConfig(
            vocab_size=VOCABULARY_SIZE,
            hidden_size=self.HIDDEN,
            num_hidden_layers=layers,
            num_attention_heads=12,
            intermediate_size=ffn_dim,
            max_position_embeddings=max(512, max_length),
            initializer_range=self.HIDDEN**-0.5,  # as in BertTiny
        )
        self.bert = BertModel._from_config(config, attn_implementation="eager", add_pooling_layer=False)
        if embedding_rank is not None:
            self.bert.embeddings.word_embeddings = NarrowWords(embedding_rank, self.HIDDEN)
        self.projection = nn.Linear(self.HIDDEN, dim)
        if weights is not None:
            _load_published(self.bert, weights)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Maps WordPiece ids and their mask, int32 [B, L], to a token, float32 [B, 1, dim]."""
        return self.projection(self.sentence(input_ids, attention_mask)[:, None])

    def sentence(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Maps ids and mask, int32 [B, L], to sentence embeddings, float32 [B, 384], L2-normalized."""
        states = self.bert.embeddings(input_ids=input_ids)  # [B, L, 384]
        states = self.bert.encoder(states, attention_mask=padding_bias(attention_mask)).last_hidden_state
        share = attention_mask.float() / attention_mask.float().sum(dim=1, keepdim=True)  # [B, L]
        return F.normalize((share[:, None] @ states)[:, 0], dim=-1)


class NarrowWords(nn.Module):
    """A table of word vectors as the product of a narrow table and a matrix, as in ALBERT (Lan et al., 2020).

    Args:
        rank: width of the table.
        width: of the word vectors.
    """

    def __init__(self, rank: int, width: int):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY_SIZE, rank)
        self.widen = nn.Linear(rank, width, bias=False)
        nn.init.normal_(self.widen.weight, std=(rank * width) ** -0.5)  # as large as BERT's words

    def forward(self, input_ids: Tensor) -> Tensor:
        """Maps ids, int32 [B, L], to word vectors, float32 [B, L, width]."""
        return self.widen(self.words(input_ids))


class CustomLstm(TextTower):
    """Word vectors and one LSTM layer; its state after the last real token, projected to a token.

    Nearly all of its 2.0 million parameters are word vectors, 30,522 of width 56.

    Args:
        max_length: longest text in tokens; any will do.
        dim: width of the token.
        weights: none are published; must be None.
    """

    EMBEDDING = 56
    HIDDEN = 192

    def __init__(self, max_length: int, dim: int, *, weights: Path | None = None):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY_SIZE, self.EMBEDDING)
        self.lstm = nn.LSTM(self.EMBEDDING, self.HIDDEN, batch_first=True)
        self.projection = nn.Linear(self.HIDDEN, dim)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Maps WordPiece ids and their mask, int32 [B, L], to a token, float32 [B, 1, dim]."""
        states, _ = self.lstm(self.words(input_ids))  # [B, L, hidden]
        return self.projection(last_real(attention_mask) @ states)


def last_real(attention_mask: Tensor) -> Tensor:
    """Returns 1 at the last real token of each text and 0 elsewhere, float32 [B, 1, L], from int32 [B, L]."""
    mask = attention_mask.float()
    after = torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], dim=1)
    return (mask - after)[:, None]


TEXT_MODELS: dict[str, type[TextTower]] = {
    "prajjwal1/bert-tiny": BertTiny,
    "roberta_tiny": RobertaTiny,
    "sentence-transformers/all-MiniLM-L6-v2": MiniLm,
    "custom_lstm": CustomLstm,
}
"""A name with a slash is the repository of the hub that holds its published weights."""
