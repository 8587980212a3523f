"""The text stage, as the training loop calls it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from encoder.model import Encoder
from encoder.train.options import StageOptions
from encoder.train.text_data import TextBatch
from encoder.train.text_stage import TextDistillation, text_loss
from encoder.weights import is_published


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
