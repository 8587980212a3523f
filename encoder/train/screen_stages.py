"""The stages that read screens and no text: regions learn their masks, the vision part another's tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from calibration_data.region_cells import covered, region_boxes, region_ious
from calibration_data.samples import Sample
from encoder.config import EncoderConfig
from encoder.model import Encoder
from encoder.modules.slots import Screen
from encoder.train import TrainError
from encoder.train.augment import augment
from encoder.train.caches import CACHE, VISION, resized_images
from encoder.train.fake_quantization import fake_quantize
from encoder.train.objective import mask_loss
from encoder.train.optimization import suit_kernels
from encoder.train.options import StageOptions, VisionOptions

VALIDATED, SCREENS_AT_ONCE = 400, 64


class ScreenStage:
    """What both stages share: screens to fit, held-out screens, and how a step's screens are drawn.

    Args:
        config: of the encoder.
        options: of the stage.
        samples: by split, `train` and `validation`.
        seed: of everything drawn.
        device: where batches go.
        cache: folder of resized screens.
        on_progress: called with what is being done, its parts done and parts to do.
    """

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
        self.pixels, self.rows = resized_images(
            [sample.image for sample in both],
            config.image_size,
            folder=cache,
            on_progress=partial(on_progress, "resizing screens"),
        )
        self.boxes = torch.tensor([region_boxes(sample) for sample in both])
        self.fitted = len(samples["train"])
        held_out = np.arange(self.fitted, len(both))
        self.held_out = np.sort(np.random.default_rng(0).permutation(held_out)[:VALIDATED])

    def begin(self, encoder: Encoder) -> None:
        """Nothing is to be done before the first step."""

    def prepare(self, step: int) -> tuple[Tensor, Tensor]:
        """Draws a step's screens, uint8 [B, H, W, 3], and boxes, float32 [B, 4, 5]."""
        random = np.random.default_rng([self.seed, step])
        rows = random.choice(self.fitted, min(self.options.batch, self.fitted), replace=False)
        return self._screens(rows), self.boxes[rows]

    def phase(self, progress: float) -> int:
        """Returns 0: all of the stage is alike."""
        return 0

    def _augmented(self, batch: tuple[Tensor, Tensor], step: int) -> tuple[Tensor, Tensor]:
        """The step's screens and boxes as other phones would show them."""
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        image, boxes = (part.to(self.device) for part in batch)
        with torch.autocast(self.device.type, enabled=False):
            return augment(image, boxes, random)[:2]

    def _screens(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self.pixels[self.rows[rows]])

    def _held_out(self, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """What `compute` makes of the held-out screens, a batch at a time."""
        starts = range(0, len(self.held_out), SCREENS_AT_ONCE)
        parts = [self.held_out[start : start + SCREENS_AT_ONCE] for start in starts]
        return torch.cat([compute(self._screens(rows).to(self.device)).float() for rows in parts])


class RegionsStage(ScreenStage):
    """Trains what finds the regions; the backbone's maps stay as they are.

    Raises:
        TrainError: none of the screens has a box.
    """

    name = "regions"

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        if not self.boxes[:, :, 0].any():
            raise TrainError("no screen of the dataset has a box: regions cannot be learned from it")

    def trained(self, encoder: Encoder) -> dict[str, nn.Parameter]:
        """Returns the parameters of the regions by name."""
        return dict(encoder.regions.named_parameters(prefix="regions"))

    def loss(
        self, encoder: Encoder, batch: tuple[Tensor, Tensor], step: int, progress: float
    ) -> dict[str, Tensor]:
        """Returns a step's loss, under `masks`."""
        image, boxes = self._augmented(batch, step)
        masks = self._masks(encoder, image)
        right = torch.from_numpy(covered(boxes.cpu().numpy(), masks.shape[2:])).to(self.device)
        with torch.autocast(self.device.type, enabled=False):
            return {"masks": mask_loss(masks, right)}

    @torch.no_grad()
    def validate(self, encoder: Encoder, progress: float) -> dict[str, float]:
        """Measures the mean IoU of the masks with the boxes of held-out screens."""
        found = self._held_out(lambda image: self._masks(encoder, image)).cpu().numpy()
        ious = region_ious(found, self.boxes[self.held_out].numpy(), self.pixels.shape[1:3])
        return {"mask_iou": float(np.nanmean(ious))}

    def _masks(self, encoder: Encoder, image: Tensor) -> Tensor:
        """Float32 [B, 4, h, w]; the backbone runs only where its maps are read."""
        maps: tuple[Tensor, ...] = ()
        if encoder.regions.strides:
            encoder.backbone.eval()  # nor do its statistics change
            with torch.no_grad():
                maps = encoder.backbone(image)
        return encoder.regions.masks(Screen(image, maps)).float()


class VisionStage(ScreenStage):
    """Trains backbone, regions and global view by distillation; no text is read, and no label.

    Args:
        teacher: a trained encoder that takes the same screens.
        arguments, more: as in `ScreenStage`.
    """

    name = "vision"
    options: VisionOptions

    def __init__(self, *arguments, teacher: Encoder, **more):
        super().__init__(*arguments, **more)
        self.teacher = teacher.to(self.device).eval().requires_grad_(False)
        suit_kernels(self.teacher, self.device)
        self._quantized = False

    def trained(self, encoder: Encoder) -> dict[str, nn.Parameter]:
        """Returns the parameters that screen tokens depend on, by name."""
        return {name: value for name, value in encoder.named_parameters() if name.startswith(VISION)}

    def loss(
        self, encoder: Encoder, batch: tuple[Tensor, Tensor], step: int, progress: float
    ) -> dict[str, Tensor]:
        """Returns a step's loss, under `tokens`: squared distances, as parts of the right tokens' squares."""
        if progress >= 1 - self.options.qat_share and not self._quantized:
            fake_quantize(encoder)
            self._quantized = True
        image, _ = self._augmented(batch, step)
        with torch.no_grad():
            right = self.teacher.encode_screen(image).float()
        found = encoder.encode_screen(image).float()
        with torch.autocast(self.device.type, enabled=False):
            away = (found - right).square().sum(dim=-1) / right.square().sum(dim=-1)
            return {"tokens": away.mean()}

    @torch.no_grad()
    def validate(self, encoder: Encoder, progress: float) -> dict[str, float]:
        """Measures the mean-centred cosine of held-out screens' tokens with the teacher's, place by place."""
        right, found = (self._held_out(one.encode_screen) for one in (self.teacher, encoder))
        mean = right.mean(dim=0)
        return {"token_cosine": float(cosine_similarity(found - mean, right - mean, dim=-1).mean())}
