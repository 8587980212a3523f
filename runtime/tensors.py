"""The contract between the models and whoever runs them: public tensors, signatures and regions by name."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .json_text import quoted
from .manifest import BundleError

SCREEN_TOKENS = 5  # the global view, then the four regions
_SIZES = ("text_max_length", "user_embed_dim", "text_projection_dim")
_LARGEST = 16_384
"""Of any size in a manifest: whatever is larger asks for memory that no device has."""


class TensorSpec(NamedTuple):
    """A tensor's numpy dtype name and its shape, batch 1."""

    dtype: str
    shape: tuple[int, ...]


class Signature(NamedTuple):
    """A callable part of the model, by the names of its public tensors."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


SIGNATURES: dict[str, Signature] = {
    "vision": Signature(("image",), ("screen_tokens",)),
    "text": Signature(("input_ids", "attention_mask"), ("text_token",)),
    "fuse": Signature(("screen_tokens", "text_token", "user"), ("embedding",)),
    "encode": Signature(("image", "input_ids", "attention_mask", "user"), ("embedding",)),
}
PARTS = ("vision", "text", "fuse")  # `encode` is their composition
REGION_MASKS = "region_masks"
"""Further output of `vision`, where the model finds the regions: a soft mask each, 1 = inside."""
REGION_NAMES = ("title", "input", "keyboard", "status")
"""In the order of the screen tokens behind the global view, and of the masks."""


def signatures(*, masks: bool) -> dict[str, Signature]:
    """The signatures of a model, by name; `masks`: it has region masks."""
    if not masks:
        return SIGNATURES
    inputs, outputs = SIGNATURES["vision"]
    return SIGNATURES | {"vision": Signature(inputs, (*outputs, REGION_MASKS))}


def tensor_specs(config: Mapping[str, Any], mask_size: Sequence[int] | None = None) -> dict[str, TensorSpec]:
    """The public tensors of an encoder, by name.

    Args:
        config: image_size (height, width), text_max_length, user_embed_dim and text_projection_dim (the
            width of every token and of the embedding); further keys are ignored.
        mask_size: Height and width of the region masks; None = the model has none.

    Raises:
        BundleError: A key is missing or is not made of positive integers of 16,384 at most, or the mask size
            is not.
    """
    size = config.get("image_size")
    if not isinstance(size, (list, tuple)) or len(size) != 2 or not all(map(_is_size, size)):
        raise BundleError(f"config: image_size must be [height, width] in pixels, not {quoted(size)}")
    for key in _SIZES:
        if not _is_size(config.get(key)):
            raise BundleError(f"config: {key} must be a positive integer, not {quoted(config.get(key))}")
    height, width = size
    length, user, token = (config[key] for key in _SIZES)
    masks = {}
    if mask_size is not None:
        if len(mask_size) != 2 or not all(map(_is_size, mask_size)):
            raise BundleError(f"{REGION_MASKS} must be {len(REGION_NAMES)} masks of [height, width] cells")
        masks[REGION_MASKS] = TensorSpec("float32", (1, len(REGION_NAMES), *mask_size))
    return {
        "image": TensorSpec("uint8", (1, height, width, 3)),
        "input_ids": TensorSpec("int32", (1, length)),
        "attention_mask": TensorSpec("int32", (1, length)),
        "user": TensorSpec("float32", (1, user)),
        "screen_tokens": TensorSpec("float32", (1, SCREEN_TOKENS, token)),
        "text_token": TensorSpec("float32", (1, 1, token)),
        "embedding": TensorSpec("float32", (1, token)),
        **masks,
    }


def _is_size(value: object) -> bool:
    return type(value) is int and 0 < value <= _LARGEST
