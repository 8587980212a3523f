"""A step's draw as tensors: pixels, word pieces, users, and which candidates are right or do not count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from calibration_data.region_cells import region_boxes
from calibration_data.samples import Sample
from encoder.model import Encoder
from encoder.train.sampling import Draw
from encoder.train.text_data import pad, token_ids
from runtime.tokenizers import Tokenizer

TEXT_CHUNK = 256
"""Texts are encoded so many at once, in order of length: less is computed for padding. Every chunk costs a
gradient as large as the table of word vectors, so there are few."""

REMEMBERED = 200_000
"""Texts whose word pieces are kept: many come again."""


@dataclass(frozen=True)
class Texts:
    """Word pieces of N texts, cut into chunks of similar length, and the order that undoes the cutting.

    Attributes:
        chunks: pairs of input_ids and attention_mask, int32 [n, L].
        order: int64 [N].
    """

    chunks: list[tuple[Tensor, Tensor]]
    order: Tensor

    def to(self, device: torch.device) -> Texts:
        """Moves the tensors."""
        return Texts([(ids.to(device), mask.to(device)) for ids, mask in self.chunks], self.order.to(device))

    def encode(self, encoder: Encoder) -> Tensor:
        """Returns text tokens, float32 [N, 256], in the texts' own order."""
        return torch.cat([encoder.encode_text(*chunk)[:, 0].float() for chunk in self.chunks])[self.order]


@dataclass(frozen=True)
class ContextBatch:
    """B screens with A contexts, C candidates, B captions and K sentences about screen classes.

    Attributes:
        rows: int64 [B], the samples.
        image: uint8 [B, H, W, 3].
        boxes: float32 [B, 4, 5]: presence, then x, y, width and height as parts of the screen.
        attributes: int64 [B, 4], labels of kind, view, keyboard, dark.
        screen: int64 [A], the screen of each context.
        texts: of the contexts, the candidates, the captions, "", and about classes: A + C + B + 1 + K.
        user: float32 [A, U].
        label: int64 [A], the right candidate.
        ignored: bool [A, C], candidates that are neither right nor wrong.
        also_fits: bool [B, B], for each screen the captions that fit it as well as its own, which does not
            count among them.
    """

    rows: Tensor
    image: Tensor
    boxes: Tensor
    attributes: Tensor
    screen: Tensor
    texts: Texts
    user: Tensor
    label: Tensor
    ignored: Tensor
    also_fits: Tensor

    def encode_texts(self, encoder: Encoder) -> tuple[Tensor, ...]:
        """Returns text tokens: [A, 256] of contexts, [C, 256], [B, 256], [1, 256] of "", and [K, 256]."""
        counts = [*self.ignored.shape, len(self.rows), 1]
        return self.texts.encode(encoder).split([*counts, len(self.texts.order) - sum(counts)])

    def to(self, device: torch.device) -> ContextBatch:
        """Moves everything to a device."""
        return ContextBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


class Collator:
    """Turns draws into tensors.

    Args:
        samples: that the draws' rows mean.
        pixels: uint8 [M, H, W, 3].
        rows: int64 [N], the pixels of each sample.
        tokenizer: of the encoder.
    """

    def __init__(self, samples: Sequence[Sample], pixels: np.ndarray, rows: np.ndarray, tokenizer: Tokenizer):
        self.pixels, self.pixel_rows, self.tokenizer = pixels, rows, tokenizer
        self.boxes = torch.tensor([region_boxes(sample) for sample in samples])
        self.classes = {
            name: sorted({_attributes(sample)[name] for sample in samples}) for name in ATTRIBUTES
        }
        self.labels = torch.tensor(
            [
                [self.classes[name].index(_attributes(sample)[name]) for name in ATTRIBUTES]
                for sample in samples
            ]
        )
        self._known: dict[str, np.ndarray] = {}

    def images(self, rows: np.ndarray) -> Tensor:
        """Returns screens of samples, uint8 [len(rows), H, W, 3]."""
        return torch.from_numpy(self.pixels[self.pixel_rows[rows]])

    def texts(self, texts: Sequence[str]) -> Texts:
        """Cuts texts into word pieces."""
        ids = [self._ids(text) for text in texts]
        places = sorted(range(len(ids)), key=lambda place: len(ids[place]))
        cuts = [places[start : start + TEXT_CHUNK] for start in range(0, len(places), TEXT_CHUNK)]
        order = np.empty(len(places), np.int64)
        order[places] = np.arange(len(places))
        return Texts([pad([ids[place] for place in cut]) for cut in cuts], torch.from_numpy(order))

    def _ids(self, text: str) -> np.ndarray:
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            found = self._known[text] = token_ids(self.tokenizer, text)
        return found

    def collate(self, draw: Draw) -> ContextBatch:
        """Makes the tensors of one step."""
        contexts = draw.contexts
        typed = [context.text for context in contexts]
        offered = [candidate.text for candidate in draw.candidates]
        label = np.array([context.label for context in contexts])
        kinds, views = (self.labels[draw.rows, ATTRIBUTES.index(name)] for name in ("kind", "view"))
        of_kind = (kinds[:, None] == kinds) & torch.from_numpy(draw.general)
        also_fits = ((views[:, None] == views) | of_kind).fill_diagonal_(False)
        return ContextBatch(
            rows=torch.from_numpy(draw.rows),
            image=self.images(draw.rows),
            boxes=self.boxes[draw.rows],
            attributes=self.labels[draw.rows],
            screen=torch.tensor([context.screen for context in contexts]),
            texts=self.texts([*typed, *offered, *draw.captions, "", *draw.kinds]),
            user=torch.from_numpy(np.stack([context.user for context in contexts])),
            label=torch.from_numpy(label),
            ignored=torch.from_numpy(self._ignored(draw, label)),
            also_fits=also_fits,
        )

    def _ignored(self, draw: Draw, label: np.ndarray) -> np.ndarray:
        group = _numbered([candidate.group for candidate in draw.candidates])
        cluster = np.array([candidate.cluster for candidate in draw.candidates])
        text = _numbered([self._ids(candidate.text).tobytes() for candidate in draw.candidates])
        elsewhere = (group[label][:, None] == group) & (cluster[label][:, None] != cluster)
        duplicate = text[label][:, None] == text
        ignored = elsewhere | duplicate
        ignored[np.arange(len(label)), label] = False
        return ignored


ATTRIBUTES = ("kind", "view", "keyboard", "dark")
"""What the auxiliary heads tell from the screen, in the order of `ContextBatch.attributes`."""


def _attributes(sample: Sample) -> dict[str, str]:
    values = {
        "kind": sample.kind,
        "view": sample.view,
        "keyboard": sample.keyboard or "",
        "dark": sample.dark,
    }
    return {name: str(value) for name, value in values.items()}


def _numbered(values: Sequence) -> np.ndarray:
    numbers: dict = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values])


def half_resolution(image: Tensor) -> Tensor:
    """Halves screens, [B, H, W, 3] of bytes or floats, to float32 [B, H / 2, W / 2, 3]."""
    return avg_pool2d(image.permute(0, 3, 1, 2).float(), 2).permute(0, 2, 3, 1)
