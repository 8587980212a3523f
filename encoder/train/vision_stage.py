"""The vision stage: what turns a screen into tokens learns to give those of a trained encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from calibration_data.samples import Sample
from encoder.config import EncoderConfig
from encoder.model import Encoder
from encoder.train.augment import augment
from encoder.train.cache import CACHE, resized_images
from encoder.train.kernels import suit_kernels
from encoder.train.options import VisionOptions
from encoder.train.rounding import round_activations
from encoder.train.screen_bank import VISION

VALIDATED, SCREENS_AT_ONCE = 400, 64


class VisionStage:
    """Trains backbone, regions and global view; no text is read, and no label.

    Args:
        config: of the encoder.
        options: of the stage.
        samples: by split, `train` and `validation`.
        teacher: a trained encoder that takes the same screens.
        seed: of everything drawn.
        device: where batches go.
        cache: folder of resized screens.
        on_progress: called with what is being done, its parts done and parts to do.
    """

    name = "vision"

    def __init__(
        self,
        config: EncoderConfig,
        options: VisionOptions,
        samples: Mapping[str, list[Sample]],
        teacher: Encoder,
        *,
        seed: int,
        device: torch.device,
        cache: Path = CACHE,
        on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    ):
        self.options, self.seed, self.device, self.heads = options, seed, device, nn.Module()
        images = [sample.image for sample in (*samples["train"], *samples["validation"])]
        self.pixels, self.rows = resized_images(
            images, config.image_size, folder=cache, on_progress=partial(on_progress, "resizing screens")
        )
        self.fitted = len(samples["train"])
        held_out = np.arange(self.fitted, len(images))
        self.held_out = np.sort(np.random.default_rng(0).permutation(held_out)[:VALIDATED])
        self.teacher = teacher.to(device).eval().requires_grad_(False)
        suit_kernels(self.teacher, device)
        self._rounds = False

    def trained(self, encoder: Encoder) -> dict[str, nn.Parameter]:
        """Returns the parameters that screen tokens depend on, by name."""
        return {name: value for name, value in encoder.named_parameters() if name.startswith(VISION)}

    def begin(self, encoder: Encoder) -> None:
        """Nothing is to be done before the first step."""

    def prepare(self, step: int) -> Tensor:
        """Draws a step's screens, uint8 [B, H, W, 3]."""
        random = np.random.default_rng([self.seed, step])
        return self._screens(random.choice(self.fitted, min(self.options.batch, self.fitted), replace=False))

    def loss(self, encoder: Encoder, batch: Tensor, step: int, progress: float) -> dict[str, Tensor]:
        """Returns a step's loss, under `tokens`: squared distances, as parts of the right tokens' squares."""
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        if progress >= 1 - self.options.rounded_share and not self._rounds:
            round_activations(encoder)
            self._rounds = True
        with torch.autocast(self.device.type, enabled=False):
            image, _, _ = augment(batch.to(self.device), torch.zeros(len(batch), 4, 5), random)
        with torch.no_grad():
            right = self.teacher.encode_screen(image).float()
        found = encoder.encode_screen(image).float()
        with torch.autocast(self.device.type, enabled=False):
            away = (found - right).square().sum(dim=-1) / right.square().sum(dim=-1)
            return {"tokens": away.mean()}

    def phase(self, progress: float) -> int:
        """Returns 0: all of the stage is alike."""
        return 0

    @torch.no_grad()
    def validate(self, encoder: Encoder, progress: float) -> dict[str, float]:
        """Measures tokens of held-out screens: the cosine with the teacher's, each place's mean taken off."""
        right, found = self._tokens(self.teacher), self._tokens(encoder)
        mean = right.mean(dim=0)
        return {"token_cosine": float(cosine_similarity(found - mean, right - mean, dim=-1).mean())}

    def _tokens(self, encoder: Encoder) -> Tensor:
        """Of the held-out screens, float32 [N, 5, 256]."""
        starts = range(0, len(self.held_out), SCREENS_AT_ONCE)
        parts = [self.held_out[start : start + SCREENS_AT_ONCE] for start in starts]
        return torch.cat([encoder.encode_screen(self._screens(own).to(self.device)).float() for own in parts])

    def _screens(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self.pixels[self.rows[rows]])
