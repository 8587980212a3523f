"""The context stage: screens, half-typed texts and users are brought together with what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from calibration_data.samples import Sample
from encoder.config import VOCABULARY, EncoderConfig
from encoder.model import Encoder
from encoder.regions import pooling_matrix
from encoder.train import TrainError
from encoder.train.augment import augment
from encoder.train.batches import LOOKS, Collator, ContextBatch, half_resolution
from encoder.train.cache import CACHE, resized_images
from encoder.train.distill import Imitation
from encoder.train.drawing import Drawer
from encoder.train.objective import ContextHeads, contrast
from encoder.train.options import ContextOptions
from encoder.train.rounding import round_activations
from encoder.train.text_stage import TextDistillation
from encoder.train.validate import Validation
from runtime.tokenizer import WordPieceTokenizer

GREY = 128
"""Of the screen that stands for no screen, as everywhere in the project."""


class ContextStage:
    """Data, objective and validation of the context stage, as the training loop calls them.

    Args:
        config: of the encoder.
        options: of the stage.
        samples: by split, `train` and `validation`.
        seed: of everything drawn.
        device: where batches go.
        text: the text tower's teacher, to be kept listening to; None for none.
        imitation: a whole encoder to imitate, or None.
        cache: folder of resized screens.
        on_progress: called with images done and images to do.
    """

    name = "context"

    def __init__(
        self,
        config: EncoderConfig,
        options: ContextOptions,
        samples: Mapping[str, list[Sample]],
        *,
        seed: int,
        device: torch.device,
        text: TextDistillation | None = None,
        imitation: Imitation | None = None,
        cache: Path = CACHE,
        on_progress=lambda done, total: None,
    ):
        both = [*samples["train"], *samples["validation"]]
        images = [sample.image for sample in both]
        pixels, rows = resized_images(images, config.image_size, folder=cache, on_progress=on_progress)
        self.options, self.seed, self.device = options, seed, device
        tokenizer = WordPieceTokenizer(VOCABULARY, config.text_max_length)
        self.collator = Collator(both, pixels, rows, tokenizer)
        self.drawer = Drawer(samples["train"], options, seed, config.user_embed_dim)
        held_out = np.arange(len(samples["train"]), len(both))
        self.validation = Validation(both, held_out, self.collator)
        self.text, self.imitation, self._rounds = text, imitation, False
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.heads = ContextHeads([len(self.collator.looks[name]) for name in LOOKS])

    def trained(self, encoder: Encoder) -> dict[str, torch.nn.Parameter]:
        """Returns the encoder's parameters that this stage trains, by name."""
        return dict(encoder.named_parameters())

    def prepare(self, step: int) -> ContextBatch:
        """Draws a step's batch; runs beside the previous step."""
        return self.collator.collate(self.drawer.draw(step))

    def loss(self, encoder: Encoder, batch: ContextBatch, step: int, progress: float) -> dict[str, Tensor]:
        """Returns the weighted parts of a step's loss.

        Args:
            encoder: in training mode.
            batch: as `prepare` made it.
            step: its number.
            progress: of the stage, 0 to 1.
        """
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        batch = batch.to(self.device)
        low = self._is_low(progress)
        set_resolution(encoder, low=low)
        if progress >= 1 - self.options.rounded_share and not self._rounds:
            round_activations(encoder)
            self._rounds = True
        image = half_resolution(batch.image) if low else batch.image
        with torch.autocast(self.device.type, enabled=False):
            image, boxes, inverted = augment(image, batch.boxes, random)
        tokens = encoder.encode_screen(torch.cat([image, torch.full_like(image[:1], GREY)])).float()
        screens = tokens[:-1]
        typed, candidate, caption, empty = batch.encode_texts(encoder)
        embedding = self._contexts(encoder, batch, tokens, typed, empty, random)
        # The encoder may compute in half precision; losses and what only training has do not.
        with torch.autocast(self.device.type, enabled=False):
            parts = self._contrasts(batch, embedding, normalize(candidate, dim=1), normalize(caption, dim=1))
            looks = _turned(batch.look, inverted, len(self.collator.looks["dark"]))
            parts["boxes"] = self.options.box_weight * self.heads.box_loss(screens[:, 1:], boxes)
            parts["looks"] = self.options.look_weight * self.heads.look_loss(screens[:, 0], looks)
            if self.text is not None:
                found = self.text.loss(encoder, self.heads, step)
                parts |= {name: self.options.text_weight * value for name, value in found.items()}
            if self.imitation is not None:
                found = self.imitation.loss(batch, image, low, screens, typed, embedding)
                parts |= {name: self.options.teacher_weight * value for name, value in found.items()}
        return parts

    def _contexts(
        self,
        encoder: Encoder,
        batch: ContextBatch,
        tokens: Tensor,
        typed: Tensor,
        empty: Tensor,
        random: torch.Generator,
    ) -> Tensor:
        """Embeddings of all contexts, float32 [A, 256]; some lose their screen, text or user."""
        lost = (torch.rand((3, len(typed)), generator=random) < self.options.drop).to(self.device)
        blank = len(tokens) - 1
        screens = tokens[batch.screen.masked_fill(lost[0], blank)]
        heard = torch.where(lost[1][:, None], empty, typed)
        user = batch.user.masked_fill(lost[2][:, None], 0.0)
        return encoder.fuse(screens, heard[:, None], user).float()

    def _contrasts(
        self, batch: ContextBatch, embedding: Tensor, candidate: Tensor, caption: Tensor
    ) -> dict[str, Tensor]:
        targets = self.heads.target_scale(embedding @ candidate.T)
        captions = self.heads.caption_scale(embedding @ caption.T)
        found = contrast(captions, batch.screen, batch.also_fits[batch.screen])
        return {
            "target": contrast(targets, batch.label, batch.ignored),
            "caption": self.options.caption_weight * found,
        }

    def _is_low(self, progress: float) -> bool:
        return progress < self.options.low_resolution_share

    def phase(self, progress: float) -> int:
        """Returns 0 while screens are small and 1 after; the average of weights begins anew in between."""
        return 0 if self._is_low(progress) else 1

    def validate(self, encoder: Encoder, progress: float) -> dict[str, float]:
        """Measures on the validation split, at the resolution that is being trained."""
        low = self._is_low(progress)
        set_resolution(encoder, low=low)
        found = self.validation.measure(encoder, self.device, low=low)
        set_resolution(encoder, low=False)
        if self.text is not None:
            found |= self.text.validate(encoder)
        return found


def set_resolution(encoder: Encoder, *, low: bool) -> None:
    """Lets the encoder's regions fit screens of half the height and width, or of the whole.

    Raises:
        TrainError: the backbone's map has an odd number of rows or columns.
    """
    if low and any(side % 2 for side in encoder.backbone.map_size):
        rows, columns = encoder.backbone.map_size
        raise TrainError(
            f"the backbone's map of {rows}x{columns} cells cannot be halved: use --low-resolution-share 0"
        )
    height, width = (side // (2 if low else 1) for side in encoder.backbone.map_size)
    if len(encoder.regions.pooling) != height * width:
        encoder.regions.pooling = pooling_matrix((height, width)).to(encoder.regions.pooling.device)


def _turned(look: Tensor, inverted: Tensor, themes: int) -> Tensor:
    """A screen with inverted colours is light where it was dark."""
    if themes != 2:
        return look
    look, dark = look.clone(), LOOKS.index("dark")
    look[:, dark] = torch.where(inverted, 1 - look[:, dark], look[:, dark])
    return look
