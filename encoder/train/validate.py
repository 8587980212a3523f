"""How good an encoder is on held-out screens, quickly: ranking, zero-shot classes, mean pairwise cosine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from calibration_data.region_cells import region_ious
from calibration_data.samples import Sample
from encoder.model import Encoder
from encoder.train.batches import Collator
from encoder.train.screens import half_resolution
from runtime.metrics import mean_pairwise_cosine, right_ranks

SAMPLES, CANDIDATES, PARAPHRASES = 400, 200, 3
SCREENS_AT_ONCE = 64
GREY = 128
"""Of the screen that stands for no screen, as everywhere in the project."""


class Validation:
    """The held-out samples and their candidates, chosen once.

    Args:
        collator: makes the tensors, and has the screens.
    """

    def __init__(self, collator: Collator):
        samples, rows = collator.screens.samples, collator.screens.held_out()
        random = np.random.default_rng(0)
        self.rows = np.sort(random.permutation(rows)[:SAMPLES])
        self.samples = [samples[row] for row in self.rows]
        self.collator, self.screens = collator, collator.screens
        pool = sorted({(samples[row].target, samples[row].target_group) for row in rows})
        chosen = [_candidates(sample, pool, random) for sample in self.samples]
        least = min(map(len, chosen))
        self.targets = sorted({text for texts in chosen for text in texts[:least]})
        place = {text: index for index, text in enumerate(self.targets)}
        self.candidates = torch.tensor([[place[text] for text in texts[:least]] for texts in chosen])
        self.kinds = [sample.kind for sample in self.samples]
        known = sorted({(sample.kind_caption, sample.kind) for sample in self.samples if sample.kind_caption})
        self.captions = known or [(sample.caption, sample.kind) for sample in self.samples]
        self.own_captions = not known
        users = [sample.user or [0.0] * len(self.samples[0].user or ()) for sample in self.samples]
        self.user = torch.tensor(np.array(users, np.float32))

    @torch.no_grad()
    def measure(self, encoder: Encoder, device: torch.device, *, low: bool) -> dict[str, float]:
        """Measures an encoder in evaluation mode.

        Args:
            encoder: its regions fit the resolution.
            device: of the encoder.
            low: at half the height and width.

        Returns:
            `r1`: how often the right one of (up to) 200 targets comes first; `r1_no_screen`, `r1_no_text`,
            `r1_no_user`: the same with a part missing; `screen_class`: how often the nearest sentence about a
            screen class, or where the samples have none another screen's nearest caption, is of the right
            one; `mean_pairwise_cosine`: of all pairs of embeddings; `mask_iou`: of the regions' masks with
            the boxes, where the encoder finds regions.
        """
        screens, grey, masks = self._screens(encoder, device, low)
        text = self._encode(encoder, [sample.text for sample in self.samples], device)
        empty = self._encode(encoder, [""], device).expand_as(text)
        user = self.user.to(device)
        targets = normalize(self._encode(encoder, self.targets, device), dim=1)
        captions = normalize(self._encode(encoder, [text for text, _ in self.captions], device), dim=1)
        embedding = encoder.fuse(screens, text[:, None], user)
        given = {
            "r1": embedding,
            "r1_no_screen": encoder.fuse(grey.expand_as(screens), text[:, None], user),
            "r1_no_text": encoder.fuse(screens, empty[:, None], user),
            "r1_no_user": encoder.fuse(screens, text[:, None], torch.zeros_like(user)),
        }
        found = {name: self._first(rows @ targets.T) for name, rows in given.items()}
        if masks is not None:
            boxes = self.screens.boxes[self.rows].numpy()
            found["mask_iou"] = float(
                np.nanmean(region_ious(masks.float().numpy(), boxes, self.screens.size))
            )
        return found | {
            "screen_class": self._class_accuracy(embedding @ captions.T),
            "mean_pairwise_cosine": mean_pairwise_cosine(embedding.float().cpu().numpy()),
        }

    def _screens(
        self, encoder: Encoder, device: torch.device, low: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Tokens of the screens and of the empty one, and the regions' masks where there are any."""
        found, masks = [], []
        for start in range(0, len(self.rows), SCREENS_AT_ONCE):
            image = self.screens.images(self.rows[start : start + SCREENS_AT_ONCE]).to(device)
            image = half_resolution(image) if low else image
            if encoder.mask_size is None:
                found.append(encoder.encode_screen(image))
            else:
                tokens, found_masks = encoder.find_regions(image)
                found.append(tokens)
                masks.append(found_masks.cpu())
        grey = encoder.encode_screen(torch.full_like(image[:1], GREY))
        return torch.cat(found), grey, torch.cat(masks) if masks else None

    def _encode(self, encoder: Encoder, texts: Sequence[str], device: torch.device) -> Tensor:
        return self.collator.texts(texts).to(device).encode(encoder)

    def _first(self, scores: Tensor) -> float:
        found = scores.gather(1, self.candidates.to(scores.device)).float()
        return float(np.mean(right_ranks(found.cpu().numpy()) == 1))

    def _class_accuracy(self, scores: Tensor) -> float:
        if self.own_captions:
            scores = scores.fill_diagonal_(-torch.inf)
        found = [self.captions[place][1] for place in scores.argmax(dim=1).tolist()]
        return float(np.mean([one == other for one, other in zip(found, self.kinds, strict=True)]))


def _candidates(sample: Sample, pool: list[tuple[str, str]], random: np.random.Generator) -> list[str]:
    """The right target first, then some of its paraphrases and targets of other groups, none twice."""
    paraphrases = [sample.siblings[i] for i in random.permutation(len(sample.siblings))][:PARAPHRASES]
    others = [pool[i][0] for i in random.permutation(len(pool)) if pool[i][1] != sample.target_group]
    return list(dict.fromkeys([sample.target, *paraphrases, *others]))[:CANDIDATES]
