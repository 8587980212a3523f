"""The text stage: the text tower learns to place texts as the teacher does, half-typed ones included.

The tower starts as a bag of words: its word vectors are the teacher's view of every vocabulary piece, its
attention averages, its projection turns the average into the reduced space.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn.functional import normalize

from calibration_data.generator.corpora import Text, texts
from encoder.config import VOCABULARY, EncoderConfig
from encoder.model import Encoder
from encoder.modules.text import BertTiny
from encoder.packages import CACHE
from encoder.tokenizers import tokenizer_of
from encoder.train.batches import pad, token_ids
from encoder.train.loop import Stage
from encoder.train.options import StageOptions
from encoder.train.text_teacher import (
    MINILM,
    TeacherError,
    TextTeacher,
    fit_reduction,
    init_text_from_teacher,
    reduce,
)
from encoder.weights import is_published
from runtime.tokenizers import Tokenizer

PAIRS_WEIGHT = 20.0
"""Of the similarities within a batch: their errors are squares of small numbers."""
TUNING_TEXTS = 1000
PREFIX_CANDIDATES = 200
CENTRED_ON = 2048
"""Texts whose mean token is taken off at the start."""
PREFIX_SHARE = 0.4
"""Part of the texts that are shown half-typed: a beginning, cut anywhere, is to find the whole's place."""
PREFIX_WEIGHT = 0.3
"""A half-typed text cannot tell all that the whole one says, so it counts less."""
POOL_BATCHES = 32
"""Batches are cut from this many batches' texts in order of length: little padding, yet well mixed."""
MOST_TEXTS = {"homeassistant": 10000, "emojibase": 1500}
"""Texts that are taken of a package in each language but English, which the teacher knows best."""
ONE_SOURCE_IN = 16
"""Of the training sources, those that the stage is tuned on and never fitted to."""


class TextStage(Stage):
    """Trains the text tower alone; other stages go on with its loss.

    Args:
        options: of the stage.
        seed: of the order of texts and of the prefixes.
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

    name = "text"

    def __init__(
        self,
        options: StageOptions,
        *,
        seed: int,
        device: torch.device | str = "cpu",
        teacher: str = MINILM,
        texts: tuple[Sequence[str], Sequence[str]] | None = None,
        extra: Sequence[str] = (),
        config: EncoderConfig | None = None,
        dim: int = 256,
        cache: Path = CACHE,
        on_progress: Callable[[str], None] = lambda line: None,
    ):
        super().__init__(options, device)
        self.teacher = TextTeacher(teacher, cache)
        if self.teacher.dim < dim:
            raise TeacherError(
                f"teacher {teacher!r} gives embeddings {self.teacher.dim} wide; at least {dim} are needed"
            )
        on_progress("reading the text corpora")
        fitted, tuned = texts or ([text.text for text in part] for part in training_texts())
        corpora = len(fitted)
        fitted = [*fitted, *sorted(set(extra) - set(fitted))]
        self.tuned = list(tuned[:TUNING_TEXTS])
        on_progress("embedding the texts with the teacher")
        embeddings = self.teacher.embed(fitted)
        # Of the corpora alone: the same space in every stage, whatever `extra` brings.
        self.reduction = fit_reduction(embeddings[:corpora], dim)
        self.tuned_embeddings = self.teacher.embed(self.tuned, progress=False)
        on_progress("cutting the texts into word pieces")
        self.tokenizer = tokenizer_of(config or EncoderConfig())
        targets = reduce(embeddings, self.reduction)
        self.batches = TextBatches(fitted, targets, self.tokenizer, batch_size=options.batch, seed=seed)

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

    def trained(self, encoder: Encoder) -> dict[str, nn.Parameter]:
        """Returns the text tower's parameters by name."""
        return {
            name: parameter
            for name, parameter in encoder.text.named_parameters(prefix="text")
            if not (self.options.frozen_text and is_published(name))
        }

    def prepare(self, step: int) -> TextBatch:
        """Makes a step's batch; it follows from seed and step alone."""
        return self.batches.batch(step)

    def loss(self, encoder: Encoder, batch: TextBatch, step: int, progress: float) -> dict[str, Tensor]:
        """How far the tower's texts are from their places, and their similarities from the teacher's.

        Returns:
            `text_place` and `text_pairs`, weighted scalars that are to be added.
        """
        batch = batch.to(self.device)
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

    def validate(self, encoder: Encoder, progress: float) -> dict[str, float]:
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


def training_texts() -> tuple[list[Text], list[Text]]:
    """Texts to fit and texts to tune on, of different sources of the training split; always the same."""
    groups = defaultdict(list)
    for text in texts("train"):
        groups[text.source.split("/")[0], text.language].append(text)
    chosen = []
    for (package, language), group in groups.items():
        chance = random.Random(f"{package} {language}")
        chance.shuffle(group)
        most = len(group) if language == "en" else MOST_TEXTS.get(package, len(group))
        chosen += group[:most]
    random.Random(0).shuffle(chosen)
    tuned = [_is_tuned_on(text.source) for text in chosen]
    return (
        [text for text, held in zip(chosen, tuned, strict=True) if not held],
        [text for text, held in zip(chosen, tuned, strict=True) if held],
    )


def _is_tuned_on(source: str) -> bool:
    return hashlib.sha256(b"v" + source.encode()).digest()[0] % ONE_SOURCE_IN == 0


@dataclass(frozen=True)
class TextBatch:
    """Texts and where they belong.

    Attributes:
        input_ids, attention_mask: int32 [B, L], L the longest text of the batch.
        target: float32 [B, D], of norm 1: the whole text's place.
        weight: float32 [B], 1 for a whole text, `PREFIX_WEIGHT` for a beginning.
    """

    input_ids: Tensor
    attention_mask: Tensor
    target: Tensor
    weight: Tensor

    def to(self, device: torch.device | str) -> TextBatch:
        """The batch on another device."""
        return TextBatch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class TextBatches:
    """Batches of texts with their targets: which ones depends on seed and step alone.

    Args:
        texts: N of them, at least a batch.
        targets: float32 [N, D] of norm 1.
        tokenizer: of the tower.
        batch_size: texts a batch; what an epoch leaves over waits for another one.
        seed: of order and prefixes.
        prefix_share: part of the texts that are shown half-typed.
    """

    def __init__(
        self,
        texts: Sequence[str],
        targets: np.ndarray,
        tokenizer: Tokenizer,
        *,
        batch_size: int,
        seed: int,
        prefix_share: float = PREFIX_SHARE,
    ):
        self.texts, self.targets, self.tokenizer = list(texts), targets, tokenizer
        self.batch_size, self.seed, self.prefix_share = batch_size, seed, prefix_share
        self.ids = [token_ids(tokenizer, text) for text in self.texts]
        self._epoch: tuple[int, list[list[int]]] = (-1, [])

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self.texts) // self.batch_size

    def batch(self, step: int) -> TextBatch:
        """The batch of a step, counted on through the epochs."""
        epoch, index = divmod(step, len(self))
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._rows(random.Random(f"{self.seed} epoch {epoch}")))
        return self._shown(self._epoch[1][index], random.Random(f"{self.seed} step {step}"))

    def _rows(self, chance: random.Random) -> list[list[int]]:
        order = list(range(len(self.texts)))
        chance.shuffle(order)
        whole, pool = len(self) * self.batch_size, POOL_BATCHES * self.batch_size
        batches = []
        for start in range(0, whole, pool):
            rows = sorted(order[start : min(start + pool, whole)], key=lambda i: len(self.ids[i]))
            batches += [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        chance.shuffle(batches)
        return batches

    def _shown(self, rows: list[int], chance: random.Random) -> TextBatch:
        ids, weight = [], []
        for row in rows:
            cut = chance.random() < self.prefix_share and len(self.texts[row]) > 3
            ids.append(token_ids(self.tokenizer, prefix(self.texts[row], chance)) if cut else self.ids[row])
            weight.append(PREFIX_WEIGHT if cut else 1.0)
        return TextBatch(*pad(ids), torch.from_numpy(self.targets[rows]), torch.tensor(weight))

    def piece_counts(self, size: int) -> np.ndarray:
        """How often each of `size` pieces occurs in the texts, int [size]."""
        return np.bincount(np.concatenate(self.ids), minlength=size)


def prefix(text: str, chance: random.Random) -> str:
    """A random beginning of a text of at least 4 characters: cut anywhere after the second one."""
    return text[: chance.randint(2, len(text) - 1)]


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
