"""Imitating a whole encoder: its embeddings and the directions of its tokens."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from encoder.config import PRESETS, EncoderConfig, preset
from encoder.model import build
from encoder.train import TrainError
from encoder.train.batches import ContextBatch
from encoder.weights import load_encoder, load_state


class Imitation:
    """A teacher that sees what the student sees.

    Args:
        teacher: name of a preset with a trained checkpoint or published weights, or a safetensors file of an
            encoder with the student's configuration.
        config: of the student.
        device: where batches are.

    Raises:
        TrainError: the teacher takes other inputs than the student, or has no trained weights.
        WeightsError: the file does not fit.
    """

    def __init__(self, teacher: str, config: EncoderConfig, device: torch.device):
        if teacher in PRESETS:
            known = preset(teacher)
            self.encoder, weights = load_encoder(known)
            if weights.source == "random":
                raise TrainError(
                    f"teacher {teacher!r} has no trained weights; name a safetensors file instead"
                )
        else:
            known = config
            self.encoder = build(config)
            load_state(self.encoder, Path(teacher))
        for name in ("image_size", "text_max_length", "user_embed_dim"):
            if getattr(known, name) != getattr(config, name):
                raise TrainError(
                    f"teacher {teacher!r} has {name} {getattr(known, name)}, the student "
                    f"{getattr(config, name)}; they must take the same inputs"
                )
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


def _away(found: Tensor, right: Tensor) -> Tensor:
    return (1 - cosine_similarity(found, right, dim=-1)).mean()
