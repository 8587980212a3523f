"""The regions stage: masks learn where the drawn boxes are, before anything reads the tokens under them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from calibration_data.region_cells import covered, region_boxes, region_ious
from calibration_data.samples import Sample
from encoder.config import EncoderConfig
from encoder.model import Encoder
from encoder.modules.slots import Screen
from encoder.train import TrainError
from encoder.train.augment import augment
from encoder.train.cache import CACHE, resized_images
from encoder.train.options import StageOptions
from encoder.train.region_masks import mask_loss

VALIDATED, SCREENS_AT_ONCE = 400, 64


class RegionsStage:
    """Trains what finds the regions; the backbone's maps stay as they are.

    Args:
        config: of the encoder.
        options: of the stage.
        samples: by split, `train` and `validation`.
        seed: of everything drawn.
        device: where batches go.
        cache: folder of resized screens.
        on_progress: called with what is being done, its parts done and parts to do.

    Raises:
        TrainError: none of the screens has a box.
    """

    name = "regions"

    def __init__(
        self,
        config: EncoderConfig,
        options: StageOptions,
        samples: Mapping[str, list[Sample]],
        *,
        seed: int,
        device: torch.device,
        cache: Path = CACHE,
        on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    ):
        self.options, self.seed, self.device, self.heads = options, seed, device, nn.Module()
        both = [*samples["train"], *samples["validation"]]
        images = [sample.image for sample in both]
        self.pixels, rows = resized_images(
            images, config.image_size, folder=cache, on_progress=partial(on_progress, "resizing screens")
        )
        self.boxes = torch.tensor([region_boxes(sample) for sample in both])
        if not self.boxes[:, :, 0].any():
            raise TrainError("no screen of the dataset has a box: regions cannot be learned from it")
        self.rows, count = rows, len(samples["train"])
        self.fitted = np.arange(count)
        held_out = np.arange(count, len(both))
        self.held_out = np.sort(np.random.default_rng(0).permutation(held_out)[:VALIDATED])

    def trained(self, encoder: Encoder) -> dict[str, nn.Parameter]:
        """Returns the parameters of the regions by name."""
        return dict(encoder.regions.named_parameters(prefix="regions"))

    def begin(self, encoder: Encoder) -> None:
        """Nothing is to be done before the first step."""

    def prepare(self, step: int) -> tuple[Tensor, Tensor]:
        """Draws a step's screens, uint8 [B, H, W, 3], and boxes, float32 [B, 4, 5]."""
        random = np.random.default_rng([self.seed, step])
        rows = random.choice(self.fitted, min(self.options.batch, len(self.fitted)), replace=False)
        return self._screens(rows), self.boxes[rows]

    def loss(
        self, encoder: Encoder, batch: tuple[Tensor, Tensor], step: int, progress: float
    ) -> dict[str, Tensor]:
        """Returns a step's loss, under `masks`."""
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        image, boxes = (part.to(self.device) for part in batch)
        with torch.autocast(self.device.type, enabled=False):
            image, boxes, _ = augment(image, boxes, random)
        masks = self._masks(encoder, image)
        right = torch.from_numpy(covered(boxes.cpu().numpy(), masks.shape[2:])).to(self.device)
        with torch.autocast(self.device.type, enabled=False):
            return {"masks": mask_loss(masks, right)}

    def phase(self, progress: float) -> int:
        """Returns 0: all of the stage is alike."""
        return 0

    @torch.no_grad()
    def validate(self, encoder: Encoder, progress: float) -> dict[str, float]:
        """Measures the mean IoU of the masks with the boxes of held-out screens."""
        starts = range(0, len(self.held_out), SCREENS_AT_ONCE)
        parts = [self.held_out[start : start + SCREENS_AT_ONCE] for start in starts]
        found = [self._masks(encoder, self._screens(rows).to(self.device)).cpu().numpy() for rows in parts]
        boxes = self.boxes[self.held_out].numpy()
        ious = region_ious(np.concatenate(found), boxes, self.pixels.shape[1:3])
        return {"mask_iou": float(np.nanmean(ious))}

    def _screens(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self.pixels[self.rows[rows]])

    def _masks(self, encoder: Encoder, image: Tensor) -> Tensor:
        """Float32 [B, 4, h, w]; the backbone runs only where its maps are read."""
        maps: tuple[Tensor, ...] = ()
        if encoder.regions.strides:
            encoder.backbone.eval()  # nor do its statistics change
            with torch.no_grad():
                maps = encoder.backbone(image)
        return encoder.regions.masks(Screen(image, maps)).float()
