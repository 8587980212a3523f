"""Imitating a whole encoder: its embeddings and the directions of its tokens."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from encoder.config import PRESETS, EncoderConfig, preset
from encoder.model import Encoder, build
from encoder.train import TrainError
from encoder.train.batches import ContextBatch
from encoder.weights import load_state, load_trained


class Imitation:
    """A teacher that sees what the student sees.

    Args:
        teacher: name of a preset with a trained checkpoint; a safetensors file of an encoder with the
            student's configuration; or PRESET=FILE, a file of another preset's encoder.
        config: of the student.
        device: where batches are.

    Raises:
        TrainError: the teacher takes other inputs than the student.
        WeightsError: the file does not fit, or the preset has no trained weights.
    """

    def __init__(self, teacher: str, config: EncoderConfig, device: torch.device):
        self.encoder = load_teacher(teacher, config)[0]
        self.encoder.to(device).requires_grad_(False)

    def loss(
        self, batch: ContextBatch, image: Tensor, low: bool, screens: Tensor, text: Tensor, embedding: Tensor
    ) -> dict[str, Tensor]:
        """How far the student's outputs point away from the teacher's, each from 0 to 2.

        Args:
            batch: the step's batch.
            image: its screens as the student saw them, float32 [B, H, W, 3].
            low: they have half the height and width; the teacher then sees them enlarged.
            screens: the student's screen tokens, float32 [B, 5, 256].
            text: its text tokens, float32 [A, 256].
            embedding: its embeddings of the contexts, float32 [A, 256].
        """
        encoder = self.encoder
        with torch.no_grad():
            if low:
                image = image.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
            screens_right = encoder.encode_screen(image).float()
            text_right = batch.encode_texts(encoder)[0]
            right = encoder.fuse(screens_right[batch.screen], text_right[:, None], batch.user).float()
        return {
            "teacher_embedding": _away(embedding, right),
            "teacher_screen": _away(screens, screens_right),
            "teacher_text": _away(text, text_right),
        }


def load_teacher(teacher: str, config: EncoderConfig) -> tuple[Encoder, EncoderConfig]:
    """Loads a whole encoder that is to be imitated, and says what it is.

    Args:
        teacher: as `Imitation` takes it.
        config: of the student.

    Raises:
        TrainError: the teacher takes other inputs than the student.
        WeightsError: the file does not fit, or the preset has no trained weights.
    """
    name, file = teacher_source(teacher)
    known = preset(name) if name else config
    for key in ("image_size", "text_max_length", "user_embed_dim"):
        if getattr(known, key) != getattr(config, key):
            raise TrainError(
                f"teacher {teacher!r} has {key} {getattr(known, key)}, the student {getattr(config, key)}; "
                "they must take the same inputs"
            )
    if file is None:
        return load_trained(known), known
    encoder = build(known, initialize=False)
    load_state(encoder, file)
    return encoder, known


def teacher_source(teacher: str) -> tuple[str, Path | None]:
    """Reads PRESET, FILE or PRESET=FILE: the preset, "" for the student's own, and the file, if any."""
    if teacher in PRESETS:
        return teacher, None
    name, _, file = teacher.partition("=")
    return (name, Path(file)) if file and name in PRESETS else ("", Path(teacher))


def _away(found: Tensor, right: Tensor) -> Tensor:
    return (1 - cosine_similarity(found, right, dim=-1)).mean()
