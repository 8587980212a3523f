"""What a text tower begins with: what its teacher already knows, as far as the tower has room for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from encoder.model import Encoder
from encoder.modules.text import BertTiny, CustomLstm, MiniLm
from encoder.train.teacher import TextTeacher

WORD_SCALE = 0.05
"""Standard deviation of the word vectors at the start. The layer norm behind them sets it back to one, so it
only says how fast words move: AdamW's steps have the same size for all weights."""


@torch.no_grad()
def init_text_from_teacher(
    encoder: Encoder, teacher: TextTeacher, reduction: np.ndarray, pieces: Sequence[str], counts: np.ndarray
) -> None:
    """Gives the text tower what the teacher knows; a tower of another kind stays as it is.

    Args:
        encoder: changed in place.
        teacher: its embeddings of the pieces become the word vectors.
        reduction: float32 [E, D], the projection from the teacher's embeddings to the token.
        pieces: the tower's vocabulary, V of them.
        counts: int [V], how often each occurs in the training texts: what narrow word vectors keep first.
    """
    tower = encoder.text
    if isinstance(tower, MiniLm) and _same_shapes(tower.bert, teacher.model):
        tower.bert.load_state_dict(teacher.model.state_dict(), strict=False)
        tower.projection.weight.copy_(torch.from_numpy(reduction.T.copy()))
        tower.projection.bias.zero_()
    elif isinstance(tower, BertTiny):
        _bag_of_words(
            tower, *_word_vectors(teacher, reduction, pieces, counts, tower.bert.config.hidden_size)
        )
    elif isinstance(tower, CustomLstm):
        words, _ = _word_vectors(teacher, reduction, pieces, counts, tower.EMBEDDING)
        tower.words.weight.copy_(words * tower.EMBEDDING**0.5)


def _same_shapes(own: torch.nn.Module, other: torch.nn.Module) -> bool:
    theirs = other.state_dict()
    return all(
        name in theirs and theirs[name].shape == value.shape for name, value in own.state_dict().items()
    )


def _word_vectors(
    teacher: TextTeacher, reduction: np.ndarray, pieces: Sequence[str], counts: np.ndarray, width: int
) -> tuple[Tensor, Tensor]:
    """Unit word vectors, float32 [V, width], and the basis, [D, width], of the directions that they keep."""
    views = teacher.embed([piece.removeprefix("##") for piece in pieces]).astype(np.float32) @ reduction
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    weighted = views * np.sqrt(counts + 1.0, dtype=np.float32)[:, None]
    _, vectors = np.linalg.eigh(weighted.T @ weighted)
    basis = torch.from_numpy(np.ascontiguousarray(vectors[:, ::-1][:, :width]))
    return normalize(torch.from_numpy(views) @ basis, dim=1), basis


def _bag_of_words(tower: BertTiny, words: Tensor, basis: Tensor) -> None:
    """Attention averages the word vectors, and the projection turns the average into the reduced space."""
    bert, width = tower.bert, words.shape[1]
    bert.embeddings.word_embeddings.weight.copy_(words * (WORD_SCALE * width**0.5))
    bert.embeddings.position_embeddings.weight.mul_(0.1 * WORD_SCALE)
    bert.embeddings.token_type_embeddings.weight.zero_()
    for layer in bert.encoder.layer:
        attention = layer.attention
        attention.self.query.weight.zero_()  # so that every token looks at all the others alike
        attention.self.value.weight.copy_(torch.eye(width))
        attention.output.dense.weight.copy_(torch.eye(width))
        layer.output.dense.weight.zero_()
    tower.projection.weight.copy_(basis)
    tower.projection.bias.zero_()
