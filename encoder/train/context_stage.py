"""The context stage: screens, half-typed texts and users are brought together with what comes next."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from calibration_data.region_cells import covered
from encoder.config import EncoderConfig
from encoder.model import Encoder
from encoder.modules.regions import pooling_matrix
from encoder.tokenizers import tokenizer_of
from encoder.train import TrainError
from encoder.train.batches import ATTRIBUTES, VISION, Collator, ContextBatch, FeatureCache
from encoder.train.distillation import Imitation, Material
from encoder.train.loop import Stage
from encoder.train.objective import ContextHeads, class_loss, contrast, mask_loss
from encoder.train.options import ContextOptions
from encoder.train.sampling import Sampler
from encoder.train.screens import Screens, augment, half_resolution
from encoder.train.text_stage import TextStage
from encoder.train.validate import GREY, Validation
from encoder.weights import is_published
from runtime.tokenizers import Tokenizer


class ContextStage(Stage):
    """Data, objective and validation of the context stage, as the training loop calls them.

    Args:
        config: of the encoder.
        options: of the stage.
        screens: to train on, and held out.
        seed: of everything drawn.
        device: where batches go.
        text: the text stage, whose objective goes on; None for none.
        imitation: a whole encoder to imitate, or None.
    """

    name = "context"

    def __init__(
        self,
        config: EncoderConfig,
        options: ContextOptions,
        screens: Screens,
        *,
        seed: int,
        device: torch.device,
        text: TextStage | None = None,
        imitation: Imitation | None = None,
    ):
        super().__init__(options, device)
        self.seed, self.screens, self.text, self.imitation = seed, screens, text, imitation
        self.collator = Collator(screens, tokenizer_of(config))
        samples, kinds = screens.samples[: screens.fitted], self.collator.classes["kind"]
        self.sampler = Sampler(samples, options, seed, config.user_embed_dim, kinds)
        self.validation = Validation(self.collator)
        self.features: FeatureCache | None = None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.heads = ContextHeads([len(self.collator.classes[name]) for name in ATTRIBUTES])

    def trained(self, encoder: Encoder) -> dict[str, torch.nn.Parameter]:
        """Returns the encoder's parameters that this stage trains, by name."""
        return {
            name: parameter
            for name, parameter in encoder.named_parameters()
            if not (self.options.frozen_vision and name.startswith(VISION))
            and not (self.options.frozen_text and is_published(name))
        }

    def material(self, other_tokenizer: Tokenizer) -> Material:
        """What to align an encoder on: screens and texts of the training split, in an order of their own.

        Args:
            other_tokenizer: of the encoder to align with.
        """
        samples = self.sampler.samples
        rows = np.random.default_rng(self.seed).permutation(len(samples))
        texts = [
            text for row in rows for text in (samples[row].text, samples[row].target, samples[row].caption)
        ]
        return Material(rows, self.screens.images, texts, self.collator.tokenizer, other_tokenizer)

    def begin(self, encoder: Encoder) -> None:
        """Computes the screens' tokens once, where the part that computes them is not trained."""
        if not self.options.frozen_vision:
            return
        encoder.eval()
        with torch.no_grad():
            grey = torch.full_like(self.screens.images(np.arange(1)), GREY).to(self.device)
            self.blank = encoder.encode_screen(grey).float()
        self.features = FeatureCache(encoder, self.screens, self.seed, self.device)

    def prepare(self, step: int) -> ContextBatch:
        """Draws a step's batch."""
        return self.collator.collate(self.sampler.draw(step))

    def loss(self, encoder: Encoder, batch: ContextBatch, step: int, progress: float) -> dict[str, Tensor]:
        """Returns the weighted parts of a step's loss."""
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        batch = batch.to(self.device)
        self.quantize(encoder, progress)
        if self.features is None:
            image, tokens, parts = self._see(encoder, batch, progress, random)
        else:
            image, tokens, parts = None, torch.cat([self.features.draw(batch.rows, step), self.blank]), {}
        typed, candidate, caption, empty, kinds = batch.encode_texts(encoder)
        embedding = self._contexts(encoder, batch, tokens, typed, empty, random)
        if len(kinds):
            # Beside another screen's text only the screen tells its class: training texts are known by heart.
            order = torch.randperm(len(typed), generator=random).to(self.device)
            mixed = encoder.fuse(tokens[batch.screen], typed[order, None], batch.user[order]).float()
            parts["screen_class"] = self._class_loss(batch, torch.stack([embedding, mixed]), kinds)
        # The encoder may compute in half precision; losses and what only training has do not.
        with torch.autocast(self.device.type, enabled=False):
            parts |= self._contrasts(batch, embedding, normalize(candidate, dim=1), normalize(caption, dim=1))
            if self.text is not None:
                found = self.text.loss(encoder, self.text.prepare(step), step, progress)
                parts |= {name: self.options.text_weight * value for name, value in found.items()}
            if self.imitation is not None:
                found = self.imitation.loss(
                    batch, image, self._is_low(progress), tokens[:-1], typed, embedding
                )
                parts |= {name: self.options.teacher_weight * value for name, value in found.items()}
        return parts

    def _see(
        self, encoder: Encoder, batch: ContextBatch, progress: float, random: torch.Generator
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Screens as the encoder saw them, their tokens with the empty screen's last, and their losses."""
        low = self._is_low(progress)
        set_resolution(encoder, low=low)
        image = half_resolution(batch.image) if low else batch.image
        with torch.autocast(self.device.type, enabled=False):
            image, boxes, inverted = augment(image, batch.boxes, random)
        seen = torch.cat([image, torch.full_like(image[:1], GREY)])
        if encoder.mask_size is None:
            tokens, masks = encoder.encode_screen(seen).float(), None
        else:
            tokens, masks = (found.float() for found in encoder.find_regions(seen))
        with torch.autocast(self.device.type, enabled=False):
            attributes = _turned(batch.attributes, inverted, len(self.collator.classes["dark"]))
            parts = {
                "boxes": self.options.box_weight * self.heads.box_loss(tokens[:-1, 1:], boxes),
                "attributes": self.options.attribute_weight
                * self.heads.attribute_loss(tokens[:-1, 0], attributes),
            }
            if masks is not None:
                right = torch.from_numpy(covered(boxes.cpu().numpy(), masks.shape[2:]))
                found = mask_loss(masks[:-1], right.to(self.device))
                parts["masks"] = self.options.mask_weight * found
        return image, tokens, parts

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
        known = torch.where(lost[1][:, None], empty, typed)
        user = batch.user.masked_fill(lost[2][:, None], 0.0)
        return encoder.fuse(screens, known[:, None], user).float()

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

    def _class_loss(self, batch: ContextBatch, embeddings: Tensor, kinds: Tensor) -> Tensor:
        """Of embeddings, [N, A, 256], of the batch's contexts."""
        right = batch.attributes[batch.screen, ATTRIBUTES.index("kind")].repeat(len(embeddings))
        with torch.autocast(self.device.type, enabled=False):
            logits = self.heads.caption_scale(embeddings.flatten(0, 1) @ normalize(kinds, dim=1).T)
            found = class_loss(logits, right, len(self.collator.classes["kind"]))
        return self.options.screen_class_weight * found

    def _is_low(self, progress: float) -> bool:
        return progress < self.options.low_resolution_share

    def phase(self, progress: float) -> int:
        """Returns 0 while screens are small and 1 after; the EMA begins anew in between."""
        return 0 if self._is_low(progress) else 1

    def validate(self, encoder: Encoder, progress: float) -> dict[str, float]:
        """Measures on the validation split, at the resolution that is being trained."""
        low = self._is_low(progress)
        set_resolution(encoder, low=low)
        found = self.validation.measure(encoder, self.device, low=low)
        set_resolution(encoder, low=False)
        if self.text is not None:
            found |= self.text.validate(encoder, progress)
        return found


def set_resolution(encoder: Encoder, *, low: bool) -> None:
    """Lets the encoder's regions fit screens of half the height and width, or of the whole.

    Raises:
        TrainError: the backbone's map has an odd number of rows or columns.
    """
    if encoder.mask_size is not None:
        return  # masks are made for any size
    if low and any(side % 2 for side in encoder.backbone.map_size):
        rows, columns = encoder.backbone.map_size
        raise TrainError(
            f"the backbone's map of {rows}x{columns} cells cannot be halved: use --low-resolution-share 0"
        )
    height, width = (side // (2 if low else 1) for side in encoder.backbone.map_size)
    if len(encoder.regions.pooling) != height * width:
        encoder.regions.pooling = pooling_matrix((height, width)).to(encoder.regions.pooling.device)


def _turned(labels: Tensor, inverted: Tensor, themes: int) -> Tensor:
    """A screen with inverted colours is light where it was dark."""
    if themes != 2:
        return labels
    labels, dark = labels.clone(), ATTRIBUTES.index("dark")
    labels[:, dark] = torch.where(inverted, 1 - labels[:, dark], labels[:, dark])
    return labels
