"""Learning from another encoder: alignment before the first step, distillation in every step.

Alignment starts the parts that two encoders do not share. What a token means to a trained fusion need not be
learned by gradient steps where the layer that makes it is linear, such as the projection behind MiniLM or
MobileCLIP: that layer is solved for, by least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from encoder.config import EncoderConfig, preset
from encoder.model import Encoder, build
from encoder.modules.fusion import Fusion
from encoder.train import TrainError
from encoder.train.batches import ContextBatch, pad, token_ids
from encoder.train.kernels import fused
from encoder.train.options import teacher_source
from encoder.weights import load_state, load_trained
from runtime.tokenizers import Tokenizer

RIDGE = 1e-3
"""Of the mean variance of a layer's inputs, added to each: inputs that say the same share their weight."""
SCREENS, NORM_SCREENS, TEXTS, BATCH = 1536, 512, 4096, 64
"""Training screens to solve layers on and to re-estimate batch norms with, training texts, and a batch."""
SOLVED = ("global_view", "regions", "text")


@dataclass(frozen=True)
class Material:
    """What encoders are compared on.

    Attributes:
        rows: int64 [N], samples.
        screens: maps rows to their screens, uint8 [B, H, W, 3].
        texts: as users type them.
        tokenizer: of the encoder that is aligned.
        other_tokenizer: of the trained one.
    """

    rows: np.ndarray
    screens: Callable[[np.ndarray], Tensor]
    texts: Sequence[str]
    tokenizer: Tokenizer
    other_tokenizer: Tokenizer


@torch.no_grad()
def align(
    encoder: Encoder, other: Encoder, material: Material, on_progress: Callable[[int, int], None]
) -> dict[str, float]:
    """Brings an encoder's tokens as near another's as its last linear layers can, and takes its fusion.

    Args:
        encoder: changed in place, and left in evaluation mode.
        other: trained; takes the same inputs and is on the same device.
        material: the first `SCREENS` and `TEXTS` of it count.
        on_progress: called with batches done and batches in all.

    Returns:
        Mean cosine of tokens with the other's, by part: those of `SOLVED` whose tokens come out of a linear
        layer; and 1 for `fusion` where it could be taken.
    """
    device = next(encoder.parameters()).device
    batches = _batches(material.rows[:SCREENS])
    first = batches[: NORM_SCREENS // BATCH]
    read = _batches(sorted(material.texts[:TEXTS], key=len))
    total = len(first) + len(batches) + len(read)
    steps = iter(range(1, total + 1))

    def tick() -> None:
        on_progress(next(steps), total)

    def show() -> None:
        for own in first:
            encoder.encode_screen(material.screens(own).to(device))
            tick()

    _reestimate_batch_norms((encoder.regions, encoder.global_view), show)
    seen = fused(encoder)
    layers = {name: _LastLayer(getattr(seen, name)) for name in SOLVED}
    for own in batches:
        image = material.screens(own).to(device)
        right = other.encode_screen(image)
        seen.encode_screen(image)
        layers["global_view"].should_be(right[:, :1])
        layers["regions"].should_be(right[:, 1:])
        tick()
    for own in read:
        seen.encode_text(*_pieces(material.tokenizer, own, device))
        layers["text"].should_be(other.encode_text(*_pieces(material.other_tokenizer, own, device)))
        tick()
    found = {name: layer.solve(getattr(encoder, name)) for name, layer in layers.items()}
    found["fusion"] = 1.0 if _take_fusion(encoder, other) else None
    return {name: cosine for name, cosine in found.items() if cosine is not None}


def _batches(items: Sequence) -> list[Sequence]:
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def _pieces(tokenizer: Tokenizer, texts: Sequence[str], device: torch.device) -> list[Tensor]:
    return [part.to(device) for part in pad([token_ids(tokenizer, text) for text in texts])]


def _reestimate_batch_norms(parts: Sequence[nn.Module], show: Callable[[], None]) -> None:
    """Measures the statistics of the parts' batch norms anew while `show` shows them screens."""
    norms = [module for part in parts for module in part.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # an average of all that it sees
        norm.train()
    show()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


class _LastLayer:
    """Finds, by hooks, the linear layer whose outputs are a part's tokens, and solves it by least squares.

    Args:
        part: of an encoder; has the hooks as long as it lives.
    """

    def __init__(self, part: nn.Module):
        self.name: str | None = None
        self.inputs: list[Tensor] = []
        self.right: list[Tensor] = []
        self._latest: tuple[str, Tensor, Tensor] | None = None
        for name, module in part.named_modules():
            if isinstance(module, nn.Linear):
                module.register_forward_hook(self._record(name))
        part.register_forward_hook(self._end)

    def _record(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            self._latest = name, inputs[0], output

        return hook

    def _end(self, part: nn.Module, inputs: tuple, tokens: Tensor) -> None:
        if self._latest is None:
            return  # a part without linear layers
        name, given, output = self._latest
        if torch.equal(output.flatten(), tokens.flatten()):
            self.name = name
            self.inputs.append(given.flatten(0, -2).double())

    def should_be(self, tokens: Tensor) -> None:
        """Tells what the latest tokens should have been, float32 [B, T, 256]."""
        self.right.append(tokens.flatten(0, 1).double())

    def solve(self, part: nn.Module) -> float | None:
        """Gives the layer of the same name its new weights; returns the tokens' mean cosine, if there is one.

        A layer that is as good as it is stays.
        """
        if self.name is None:
            return None
        layer = part.get_submodule(self.name)
        given, right = torch.cat(self.inputs), torch.cat(self.right)
        middle, aim = given.mean(dim=0), right.mean(dim=0)
        centred = given - middle
        squares = centred.T @ centred
        squares.diagonal().add_(RIDGE * squares.diagonal().mean())
        weight = torch.linalg.solve(squares, centred.T @ (right - aim)).T  # [256, D]
        bias = aim - weight @ middle
        before = _cosine(given @ layer.weight.double().T + layer.bias, right)
        after = _cosine(given @ weight.T + bias, right)
        if after > before:
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        return max(before, after)


def _cosine(tokens: Tensor, right: Tensor) -> float:
    return float(cosine_similarity(tokens, right, dim=1).mean())


def _take_fusion(encoder: Encoder, other: Encoder) -> bool:
    """Takes the user's projection and the fusion; layers that the other lacks begin as next to nothing."""
    own, given = encoder.fusion, other.fusion
    if not (isinstance(own, Fusion) and isinstance(given, Fusion)) or len(own.layers) < len(given.layers):
        return False
    state = given.state_dict()
    if any(own.state_dict()[name].shape != value.shape for name, value in state.items()):
        return False
    own.load_state_dict(state, strict=False)
    encoder.user.load_state_dict(other.user.state_dict())
    last = given.layers[-1].norm2
    for layer in own.layers[len(given.layers) :]:
        nn.init.zeros_(layer.self_attn.out_proj.weight)
        nn.init.zeros_(layer.self_attn.out_proj.bias)
        nn.init.zeros_(layer.linear2.weight)
        nn.init.zeros_(layer.linear2.bias)
        # What arrives is normalized, scaled and shifted already; these norms undo their own normalizing.
        for norm in (layer.norm1, layer.norm2):
            nn.init.constant_(norm.weight, float((last.weight.square() + last.bias.square()).mean().sqrt()))
            nn.init.constant_(norm.bias, float(last.bias.mean()))
    return True


class Imitation:
    """A teacher that sees what the student sees.

    Args:
        teacher: name of a preset with a trained checkpoint; a safetensors file of an encoder with the
            student's configuration; or PRESET=FILE, a file of another preset's encoder.
        config: of the student.
        device: where batches are.

    Raises:
        TrainError: the teacher takes other inputs than the student.
        WeightsError: the file does not fit, or the preset has no trained weights.
    """

    def __init__(self, teacher: str, config: EncoderConfig, device: torch.device):
        self.encoder = load_teacher(teacher, config)[0]
        self.encoder.to(device).requires_grad_(False)

    def loss(
        self, batch: ContextBatch, image: Tensor, low: bool, screens: Tensor, text: Tensor, embedding: Tensor
    ) -> dict[str, Tensor]:
        """How far the student's outputs point away from the teacher's, each from 0 to 2.

        Args:
            batch: the step's batch.
            image: its screens as the student saw them, float32 [B, H, W, 3].
            low: they have half the height and width; the teacher then sees them enlarged.
            screens: the student's screen tokens, float32 [B, 5, 256].
            text: its text tokens, float32 [A, 256].
            embedding: its embeddings of the contexts, float32 [A, 256].
        """
        encoder = self.encoder
        with torch.no_grad():
            if low:
                image = image.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
            screens_right = encoder.encode_screen(image).float()
            text_right = batch.encode_texts(encoder)[0]
            right = encoder.fuse(screens_right[batch.screen], text_right[:, None], batch.user).float()
        return {
            "teacher_embedding": _away(embedding, right),
            "teacher_screen": _away(screens, screens_right),
            "teacher_text": _away(text, text_right),
        }


def load_teacher(teacher: str, config: EncoderConfig) -> tuple[Encoder, EncoderConfig]:
    """Loads a whole encoder that is to be imitated, and says what it is.

    Args:
        teacher: as `Imitation` takes it.
        config: of the student.

    Raises:
        TrainError: the teacher takes other inputs than the student.
        WeightsError: the file does not fit, or the preset has no trained weights.
    """
    name, file = teacher_source(teacher)
    known = preset(name) if name else config
    for key in ("image_size", "text_max_length", "user_embed_dim"):
        if getattr(known, key) != getattr(config, key):
            raise TrainError(
                f"teacher {teacher!r} has {key} {getattr(known, key)}, the student {getattr(config, key)}; "
                "they must take the same inputs"
            )
    if file is None:
        return load_trained(known), known
    encoder = build(known, initialize=False)
    load_state(encoder, file)
    return encoder, known


def _away(found: Tensor, right: Tensor) -> Tensor:
    return (1 - cosine_similarity(found, right, dim=-1)).mean()
