"""Traceable views of an encoder: one module a signature, with the public tensors as inputs and outputs."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from encoder.config import EncoderConfig
from encoder.model import Encoder
from runtime.bundle import SIGNATURES, tensor_specs


def part_of(encoder: Encoder, *names: str) -> Encoder:
    """Returns an encoder that shares the named submodules and has no others.

    A converter carries every parameter that it is given through all of its passes, used or not.
    """
    part = copy.copy(encoder)
    part._modules = {name: module for name, module in encoder._modules.items() if name in names}
    return part


class Vision(nn.Module):
    """`vision(image) -> screen_tokens`."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = part_of(encoder, "backbone", "regions", "global_view")

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Maps uint8 [1, H, W, 3] to float32 [1, 5, 256]."""
        return {"screen_tokens": self.encoder.encode_screen(image)}


class MaskedVision(nn.Module):
    """`vision(image) -> screen_tokens, region_masks`, for regions that are found on each screen."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = part_of(encoder, "backbone", "regions", "global_view")

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Maps uint8 [1, H, W, 3] to float32 [1, 5, 256] and [1, 4, h, w]."""
        screen_tokens, region_masks = self.encoder.find_regions(image)
        return {"screen_tokens": screen_tokens, "region_masks": region_masks}


def vision(encoder: Encoder) -> nn.Module:
    """Returns the view of the signature `vision`, with masks where the encoder has them."""
    return Vision(encoder) if encoder.mask_size is None else MaskedVision(encoder)


class Text(nn.Module):
    """`text(input_ids, attention_mask) -> text_token`."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = part_of(encoder, "text")

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Maps int32 [1, L] twice to float32 [1, 1, 256]."""
        return {"text_token": self.encoder.encode_text(input_ids, attention_mask)}


class Fuse(nn.Module):
    """`fuse(screen_tokens, text_token, user) -> embedding`."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = part_of(encoder, "user", "fusion")

    def forward(self, screen_tokens: Tensor, text_token: Tensor, user: Tensor) -> dict[str, Tensor]:
        """Maps float32 [1, 5, 256], [1, 1, 256] and [1, user_embed_dim] to float32 [1, 256]."""
        return {"embedding": self.encoder.fuse(screen_tokens, text_token, user)}


class Encode(nn.Module):
    """`encode(image, input_ids, attention_mask, user) -> embedding`, the three in one."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder

    def forward(
        self, image: Tensor, input_ids: Tensor, attention_mask: Tensor, user: Tensor
    ) -> dict[str, Tensor]:
        """Maps the four public inputs to float32 [1, 256]."""
        return {"embedding": self.encoder(image, input_ids, attention_mask, user)}


WRAPPERS: dict[str, Callable[[Encoder], nn.Module]] = {
    "vision": vision, "text": Text, "fuse": Fuse, "encode": Encode
}  # fmt: skip


def example_inputs(config: EncoderConfig, signature: str) -> dict[str, Tensor]:
    """Returns tensors of the right dtype and shape to trace a signature with, by input name."""
    generator = torch.Generator().manual_seed(0)
    specs = tensor_specs(config.to_dict())
    examples = {}
    for name in SIGNATURES[signature].inputs:
        dtype, shape = getattr(torch, specs[name].dtype), specs[name].shape
        if dtype.is_floating_point:
            examples[name] = torch.randn(shape, generator=generator)
        elif name == "attention_mask":
            examples[name] = torch.ones(shape, dtype=dtype)
        else:
            examples[name] = torch.randint(0, 256, shape, generator=generator, dtype=dtype)
    return examples
