"""The stages that read screens and no text: regions learn their masks, the vision part another's tokens."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from calibration_data.region_cells import covered, region_ious
from encoder.model import Encoder
from encoder.modules.slots import Screen
from encoder.train import TrainError
from encoder.train.batches import VISION, Collator
from encoder.train.kernels import suit_kernels
from encoder.train.loop import Stage
from encoder.train.objective import mask_loss
from encoder.train.options import StageOptions, VisionOptions
from encoder.train.screens import Screens, augment, nudge

VALIDATED, SCREENS_AT_ONCE = 400, 64
CONTEXTS, ALONE = 512, 0.5
"""Texts and users beside which the vision stage fuses screens, and the share of screens that are alone."""


class ScreenStage(Stage):
    """What both stages share: how a step's screens are drawn, and those that they are validated on.

    Args:
        options: of the stage.
        screens: to train on, and held out.
        seed: of everything drawn.
        device: where batches go.
    """

    def __init__(self, options: StageOptions, screens: Screens, *, seed: int, device: torch.device):
        super().__init__(options, device)
        self.screens, self.seed = screens, seed
        self.validated = np.sort(np.random.default_rng(0).permutation(screens.held_out())[:VALIDATED])

    def prepare(self, step: int) -> tuple[Tensor, Tensor]:
        """Draws a step's screens, uint8 [B, H, W, 3], and boxes, float32 [B, 4, 5]."""
        random, count = np.random.default_rng([self.seed, step]), self.screens.fitted
        rows = random.choice(count, min(self.options.batch, count), replace=False)
        return self.screens.images(rows), self.screens.boxes[rows]

    def _augmented(self, batch: tuple[Tensor, Tensor], step: int) -> tuple[Tensor, Tensor]:
        """The step's screens and boxes as other phones would show them."""
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        image, boxes = (part.to(self.device) for part in batch)
        with torch.autocast(self.device.type, enabled=False):
            return augment(image, boxes, random)[:2]

    def _held_out(self, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """What `compute` makes of the held-out screens, a batch at a time."""
        starts = range(0, len(self.validated), SCREENS_AT_ONCE)
        parts = [self.validated[start : start + SCREENS_AT_ONCE] for start in starts]
        return torch.cat([compute(self.screens.images(rows).to(self.device)).float() for rows in parts])


class RegionsStage(ScreenStage):
    """Trains what finds the regions; the backbone's maps stay as they are.

    Raises:
        TrainError: none of the screens has a box.
    """

    name = "regions"

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        if not self.screens.boxes[:, :, 0].any():
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
        ious = region_ious(found, self.screens.boxes[self.validated].numpy(), self.screens.size)
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
    """Trains backbone, regions and global view by distillation; no label is read.

    The student sees each screen a little changed, the teacher as it is: what hardly changes a screen should
    hardly change its tokens, and an encoder of which this is true is also moved less by quantization.

    Args:
        options: of the stage.
        collator: of the screens, labelled and not, and of the texts beside which tokens are fused.
        teacher: a trained encoder that takes the same inputs.
        more: as in `ScreenStage`.
    """

    name = "vision"
    options: VisionOptions

    def __init__(self, options: VisionOptions, collator: Collator, *, teacher: Encoder, **more):
        super().__init__(options, collator.screens, **more)
        self.teacher = teacher.to(self.device).eval().requires_grad_(False)
        suit_kernels(self.teacher, self.device)
        random = np.random.default_rng(self.seed)
        chosen = random.permutation(self.screens.fitted)[:CONTEXTS]
        samples = [self.screens.samples[row] for row in chosen]
        self.texts = collator.texts(["", *(sample.text for sample in samples)]).to(self.device)
        nobody = (0.0,) * len(samples[0].user)
        self.users = torch.tensor([nobody, *(sample.user for sample in samples)], device=self.device)

    def trained(self, encoder: Encoder) -> dict[str, nn.Parameter]:
        """Returns the parameters that screen tokens depend on, by name."""
        return {name: value for name, value in encoder.named_parameters() if name.startswith(VISION)}

    @torch.no_grad()
    def begin(self, encoder: Encoder) -> None:
        """Encodes the texts beside which screen tokens are fused."""
        self.typed = self.texts.encode(self.teacher)[:, None]

    def prepare(self, step: int) -> tuple[Tensor, Tensor]:
        """Draws a step's screens; those without labels are the second half, and have no boxes."""
        image, boxes = super().prepare(step)
        count = min(len(image) // 2, len(self.screens.more))
        if count:
            random = np.random.default_rng([self.seed, step, 1])
            rows = random.choice(self.screens.more, count, replace=False)
            image[-count:], boxes[-count:] = self.screens.images(rows), 0.0
        return image, boxes

    def loss(
        self, encoder: Encoder, batch: tuple[Tensor, Tensor], step: int, progress: float
    ) -> dict[str, Tensor]:
        """Returns a step's loss: squared distances of `tokens` and `embedding` from the teacher's.

        Tokens' as parts of their own squares, embeddings' as parts of those between different screens.
        """
        self.quantize(encoder, progress)
        if self._quantized:
            # Scale and shift go on learning; the statistics are those that the export folds.
            for module in encoder.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        image, _ = self._augmented(batch, step)
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        with torch.autocast(self.device.type, enabled=False):
            nudged = nudge(image, random)
        context = torch.randint(len(self.users), (len(image),), generator=random)
        context = torch.where(torch.rand(len(image), generator=random) < ALONE, 0, context).to(self.device)
        beside = self.typed[context], self.users[context]
        with torch.no_grad():
            right = self.teacher.encode_screen(image).float()
            embedding = self.teacher.fuse(right, *beside).float()
        found = encoder.encode_screen(nudged).float()
        fused = self.teacher.fuse(found, *beside).float()
        with torch.autocast(self.device.type, enabled=False):
            away = (found - right).square().sum(dim=-1) / right.square().sum(dim=-1)
            spread = (embedding - embedding.mean(dim=0)).square().sum(dim=-1).mean()
            return {
                "tokens": away.mean(),
                "embedding": (fused - embedding).square().sum(dim=-1).mean() / spread,
            }

    @torch.no_grad()
    def validate(self, encoder: Encoder, progress: float) -> dict[str, float]:
        """Measures the mean-centred cosine of held-out screens' tokens with the teacher's, place by place."""
        right, found = (self._held_out(one.encode_screen) for one in (self.teacher, encoder))
        mean = right.mean(dim=0)
        return {"token_cosine": float(cosine_similarity(found - mean, right - mean, dim=-1).mean())}
