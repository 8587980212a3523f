"""The text stage: the text tower learns to place texts as the teacher does, half-typed ones included.

The teacher's embeddings are reduced to the token's width by an orthogonal projection that keeps as much of
their inner products as any can. The tower starts as a bag of words: its word vectors are the teacher's view
of every vocabulary piece, its attention averages, its projection turns the average into the reduced space.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn.functional import normalize

from encoder.config import VOCABULARY, EncoderConfig
from encoder.model import Encoder
from encoder.modules.text import BertTiny
from encoder.packages import CACHE
from encoder.tokenizers import tokenizer_of
from encoder.train.options import StageOptions
from encoder.train.text_data import (
    TextBatch,
    TextBatches,
    pad,
    prefix,
    token_ids,
    training_texts,
)
from encoder.train.text_teacher import MINILM, TeacherError, TextTeacher, init_text_from_teacher
from encoder.weights import is_published
from runtime.tokenizers import Tokenizer

PAIRS_WEIGHT = 20.0
"""Of the similarities within a batch: their errors are squares of small numbers."""
TUNING_TEXTS = 1000
PREFIX_CANDIDATES = 200
CENTRED_ON = 2048
"""Texts whose mean token is taken off at the start."""


class TextDistillation:
    """The text stage's data and objective, as the training loop calls them.

    Args:
        seed: of the order of texts and of the prefixes.
        batch: texts a step.
        device: where batches go.
        teacher: name of the teacher, see `TextTeacher`.
        texts: to fit and to tune on; None for those of the text corpora.
        extra: more texts to fit, such as the targets and captions of the training screens.
        config: of the encoder, whose text model says how texts are cut; None for the default.
        dim: width of the text token.
        cache: where the teacher and its embeddings are kept.
        on_progress: called with a line before each part of the preparation.

    Raises:
        TeacherError: the teacher cannot be loaded.
        CalibrationDataError: the text corpora cannot be fetched.
    """

    def __init__(
        self,
        *,
        seed: int,
        batch: int,
        device: torch.device | str = "cpu",
        teacher: str = MINILM,
        texts: tuple[Sequence[str], Sequence[str]] | None = None,
        extra: Sequence[str] = (),
        config: EncoderConfig | None = None,
        dim: int = 256,
        cache: Path = CACHE,
        on_progress: Callable[[str], None] | None = None,
    ):
        say = on_progress or (lambda line: None)
        say("reading the text corpora")
        fitted, tuned = texts or ([text.text for text in part] for part in training_texts())
        corpora = len(fitted)
        fitted = [*fitted, *sorted(set(extra) - set(fitted))]
        self.tuned, self.device = list(tuned[:TUNING_TEXTS]), device
        say("embedding the texts with the teacher")
        self.teacher = TextTeacher(teacher, cache)
        if self.teacher.dim < dim:
            raise TeacherError(
                f"teacher {teacher!r} gives embeddings {self.teacher.dim} wide; at least {dim} are needed"
            )
        embeddings = self.teacher.embed(fitted)
        # Of the corpora alone: the same space in every stage, whatever `extra` brings.
        self.reduction = fit_reduction(embeddings[:corpora], dim)
        self.tuned_embeddings = self.teacher.embed(self.tuned, progress=False)
        say("cutting the texts into word pieces")
        self.tokenizer = tokenizer_of(config or EncoderConfig())
        targets = reduce(embeddings, self.reduction)
        self.batches = TextBatches(fitted, targets, self.tokenizer, batch_size=batch, seed=seed)

    def initialize(self, encoder: Encoder) -> None:
        """Initializes the text tower from its teacher (`init_text_from_teacher`), before the first step."""
        pieces = VOCABULARY.read_text(encoding="utf-8").splitlines()
        counts = self.batches.piece_counts(len(pieces))
        init_text_from_teacher(encoder, self.teacher, self.reduction, pieces, counts)
        if isinstance(encoder.text, BertTiny):  # a bag of words points nearly the same way for all texts
            texts = self.batches.texts[:CENTRED_ON]
            found = embed_texts(encoder, self.tokenizer, texts, self.device, raw=True)
            with torch.no_grad():
                encoder.text.projection.bias.sub_(torch.from_numpy(found.mean(0)).to(self.device))

    def heads(self) -> nn.Module:
        """Modules that only training needs: none."""
        return nn.Module()

    def loss(self, encoder: Encoder, heads: nn.Module, step: int) -> dict[str, Tensor]:
        """Weighted parts of the loss; everything random in them follows from seed and step alone."""
        return text_loss(encoder, self.batches.batch(step).to(self.device))

    def validate(self, encoder: Encoder) -> dict[str, float]:
        """How well the tower does on texts of sources that it never learned from.

        Returns:
            `spearman`: of all pairs' similarities with the teacher's. `prefix_r1`: how often the beginning of
            a text finds it among 200.
        """
        chance = random.Random(0)
        texts = [text for text in self.tuned if len(text) >= 12][:PREFIX_CANDIDATES]
        starts = [prefix(text, chance) for text in texts]
        found = embed_texts(encoder, self.tokenizer, self.tuned, self.device)
        whole = embed_texts(encoder, self.tokenizer, texts, self.device)
        begun = embed_texts(encoder, self.tokenizer, starts, self.device)
        right = (begun @ whole.T).argmax(1) == np.arange(len(texts))
        return {"spearman": spearman(found, self.tuned_embeddings), "prefix_r1": float(right.mean())}


class TextStage:
    """Trains the text tower alone.

    Args:
        distillation: data, objective and validation.
        options: of the stage.
        device: where batches go.
    """

    name = "text"

    def __init__(self, distillation: TextDistillation, options: StageOptions, device: torch.device):
        self.distillation, self.options, self.device = distillation, options, device
        self.heads: nn.Module = distillation.heads()

    def trained(self, encoder: Encoder) -> dict[str, nn.Parameter]:
        """Returns the text tower's parameters by name."""
        return {
            name: parameter
            for name, parameter in encoder.text.named_parameters(prefix="text")
            if not (self.options.frozen_text and is_published(name))
        }

    def begin(self, encoder: Encoder) -> None:
        """Nothing is to be done before the first step."""

    def prepare(self, step: int) -> TextBatch:
        """Makes a step's batch; runs beside the previous step."""
        return self.distillation.batches.batch(step)

    def loss(self, encoder: Encoder, batch: TextBatch, step: int, progress: float) -> dict[str, Tensor]:
        """Returns the weighted parts of a step's loss."""
        return text_loss(encoder, batch.to(self.device))

    def phase(self, progress: float) -> int:
        """Returns 0: all of the stage is alike."""
        return 0

    def validate(self, encoder: Encoder, progress: float) -> dict[str, float]:
        """Measures on texts whose sources are not trained on."""
        return self.distillation.validate(encoder)


def fit_reduction(embeddings: np.ndarray, dim: int) -> np.ndarray:
    """The orthogonal projection, float32 [E, dim], that keeps most of the embeddings' inner products.

    Args:
        embeddings: float [N, E] of the training texts; not centred, since cosines are not.
        dim: width of the text token, at most E.
    """
    data = embeddings.astype(np.float32)
    _, vectors = np.linalg.eigh(data.T @ data)
    return np.ascontiguousarray(vectors[:, ::-1][:, :dim], dtype=np.float32)


def reduce(embeddings: np.ndarray, reduction: np.ndarray) -> np.ndarray:
    """Projects embeddings, float [N, E], to float32 [N, D] of norm 1."""
    reduced = embeddings.astype(np.float32) @ reduction
    return reduced / np.linalg.norm(reduced, axis=1, keepdims=True)


def text_loss(encoder: Encoder, batch: TextBatch) -> dict[str, Tensor]:
    """How far the tower's texts are from their places, and their similarities from the teacher's.

    Returns:
        `text_place` and `text_pairs`, weighted scalars that are to be added.
    """
    tokens = encoder.encode_text(batch.input_ids, batch.attention_mask)
    # The encoder may compute in half precision; similarities are not.
    with torch.autocast(tokens.device.type, enabled=False):
        found = normalize(tokens[:, 0].float(), dim=1)
        distance = 1 - (found * batch.target).sum(1)
        whole = batch.weight == 1
        found, target = found[whole], batch.target[whole]
        pairs = (found @ found.T - target @ target.T).square().mean()
    return {
        "text_place": (distance * batch.weight).sum() / batch.weight.sum(),
        "text_pairs": PAIRS_WEIGHT * pairs,
    }


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation of the pairwise cosines of two sets of embeddings of the same texts.

    Args:
        a, b: float [N, D] and [N, E] of norm 1, N at least 3.
    """
    above = np.triu_indices(len(a), 1)
    cosines = [(x.astype(np.float32) @ x.astype(np.float32).T)[above] for x in (a, b)]
    return float(spearmanr(*cosines).statistic)


@torch.inference_mode()
def embed_texts(
    encoder: Encoder,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    device: torch.device | str = "cpu",
    *,
    raw: bool = False,
) -> np.ndarray:
    """The tower's tokens of texts, float32 [N, D], L2-normalized unless `raw`; the mode is left as it was."""
    training = encoder.training
    encoder.eval()
    ids = [token_ids(tokenizer, text) for text in texts]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    found = np.zeros((len(ids), encoder.text.projection.out_features), np.float32)
    for start in range(0, len(order), 512):
        rows = order[start : start + 512]
        tokens = encoder.encode_text(*(part.to(device) for part in pad([ids[i] for i in rows])))
        tokens = tokens[:, 0].float()
        found[rows] = (tokens if raw else normalize(tokens, dim=1)).cpu().numpy()
    encoder.train(training)
    return found
