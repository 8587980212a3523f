"""A step's draw as tensors: pixels, word pieces, users, and which candidates are right or do not count.

Where the vision part is frozen, a feature cache of screen tokens stands for the pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from calibration_data.samples import Sample
from encoder.model import Encoder
from encoder.train.kernels import fused
from encoder.train.sampling import Draw
from encoder.train.screens import Screens, augment
from runtime.files import write_atomically
from runtime.tokenizers import Tokenizer

TEXT_CHUNK = 256
"""Texts are encoded so many at once, in order of length: less is computed for padding. Every chunk costs a
gradient as large as the table of word vectors, so there are few."""

REMEMBERED = 200_000
"""Texts whose word pieces are kept: many come again."""

ATTRIBUTES = ("kind", "view", "keyboard", "dark")
"""What the auxiliary heads tell from the screen, in the order of `ContextBatch.attributes`."""

VIEWS = 3
"""Of each screen: as it is, and as other phones would show it."""
SCREENS_AT_ONCE = 64
NOISE = 0.15
"""Added to every number, as a part of its token's deviation: about what quantization does to a token."""
VISION = ("backbone.", "regions.", "global_view.")
"""Beginnings of the names of parameters that the tokens depend on."""


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
        screens: that the draws' rows mean.
        tokenizer: of the encoder.
    """

    def __init__(self, screens: Screens, tokenizer: Tokenizer):
        self.screens, self.tokenizer = screens, tokenizer
        found = [_attributes(sample) for sample in screens.samples]
        self.classes = {
            name: sorted(set(labels))
            for name, labels in zip(ATTRIBUTES, zip(*found, strict=True), strict=True)
        }
        places = [{label: place for place, label in enumerate(known)} for known in self.classes.values()]
        self.labels = torch.tensor(
            [[known[label] for known, label in zip(places, labels, strict=True)] for labels in found]
        )
        self._known: dict[str, np.ndarray] = {}

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
            image=self.screens.images(draw.rows),
            boxes=self.screens.boxes[draw.rows],
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


def _attributes(sample: Sample) -> list[str]:
    """A sample's label of each of ATTRIBUTES."""
    return [sample.kind, sample.view, sample.keyboard or "", str(sample.dark)]


def _numbered(values: Sequence) -> np.ndarray:
    numbers: dict = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values])


def token_ids(tokenizer: Tokenizer, text: str) -> np.ndarray:
    """Ids of a text without padding, int32 [L]."""
    ids, mask = tokenizer.encode(text)
    return ids[: int(mask.sum())]


def pad(ids: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Stacks ids of different lengths: input_ids and attention_mask, int32 [B, L]."""
    input_ids = pad_sequence([torch.from_numpy(own) for own in ids], batch_first=True)
    lengths = torch.tensor([[len(own)] for own in ids])
    return input_ids, (torch.arange(input_ids.shape[1]) < lengths).int()


class FeatureCache:
    """Feature cache: screen tokens by sample and view, in half precision.

    Args:
        encoder: in evaluation mode, its screen's part exact.
        screens: those to train on count. Their folder keeps the tokens for the next run of the same encoder.
        seed: of the views.
        device: where the encoder is.
    """

    def __init__(self, encoder: Encoder, screens: Screens, seed: int, device: torch.device):
        self.seed, count = seed, screens.fitted
        digest = hashlib.sha256(repr((count, seed, VIEWS, SCREENS_AT_ONCE)).encode())
        for name, value in encoder.state_dict().items():
            if name.startswith(VISION):
                digest.update(value.cpu().numpy().tobytes())
        for start in range(0, count, SCREENS_AT_ONCE):
            digest.update(screens.images(np.arange(start, min(start + SCREENS_AT_ONCE, count))).numpy())
        kept = screens.folder / f"features-{digest.hexdigest()[:16]}.npy"
        if not kept.is_file():
            found = _all_tokens(fused(encoder), screens, seed, device)
            write_atomically(kept, lambda file: np.save(file, found))
        self.tokens = torch.from_numpy(np.load(kept)).to(device)

    def draw(self, rows: Tensor, step: int) -> Tensor:
        """Tokens of samples, each in a view drawn for this step, with a little noise.

        Args:
            rows: int64 [B].
            step: its number.

        Returns:
            float32 [B, 5, 256].
        """
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        views = torch.randint(VIEWS, (len(rows),), generator=random)
        tokens = self.tokens[views.to(self.tokens.device), rows].float()
        noise = torch.randn(tokens.shape, generator=random).to(tokens.device)
        return tokens + NOISE * tokens.std(dim=-1, keepdim=True) * noise


@torch.no_grad()
def _all_tokens(encoder: Encoder, screens: Screens, seed: int, device: torch.device) -> np.ndarray:
    """Of every view and screen to train on, float16 [VIEWS, N, 5, 256]."""
    found, count = [], screens.fitted
    for view in range(VIEWS):
        for start in range(0, count, SCREENS_AT_ONCE):
            rows = np.arange(start, min(start + SCREENS_AT_ONCE, count))
            image = screens.images(rows).to(device)
            if view:
                random = torch.Generator().manual_seed((seed * VIEWS + view) * 1_000_003 + start)
                with torch.autocast(device.type, enabled=False):
                    image, _, _ = augment(image, screens.boxes[rows], random)
            found.append(encoder.encode_screen(image).float().cpu().numpy().astype(np.float16))
            screens.on_progress("reading screens", view * count + int(rows[-1]) + 1, VIEWS * count)
    tokens = np.concatenate(found)
    return tokens.reshape(VIEWS, count, *tokens.shape[1:])
