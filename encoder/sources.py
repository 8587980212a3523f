"""Finds an encoder's weights before it is built: the file that each part is to be read from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open

from calibration_data import CalibrationDataError
from encoder.config import EncoderConfig, find_checkpoint
from encoder.hub import HubError, fetch
from encoder.packages import PINNED, has_package, packaged_minilm
from runtime.provenance import CHECKPOINT, FILE, PACKAGE, PUBLISHED, WeightsError


@dataclass(frozen=True)
class Source:
    """A file of weights.

    Attributes:
        kind: `file`, `checkpoint`, `published` or `package`.
        detail: which, for people.
        path: a safetensors file.
    """

    kind: str
    detail: str
    path: Path


@dataclass(frozen=True)
class Sources:
    """Where an encoder's weights are to come from; what is not named here is random.

    Attributes:
        whole: of all parts.
        parts: where there is no `whole`: published weights of `backbone` and `text`, those that were found.
        notes: a line for each part whose published weights the hub does not give, and why.
    """

    whole: Source | None = None
    parts: Mapping[str, Source] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def digests(self) -> dict[str, tuple[str, ...]]:
        """Returns kind, detail and SHA-256 of each file, by part: what decides the weights and their names.

        The pin of the package is among them: a checkpoint may leave out the text model that it carries.
        """
        pin = Source(PACKAGE, "", PINNED)
        named = {"pin": pin, **({"all": self.whole} if self.whole else {}), **self.parts}
        return {part: (source.kind, source.detail, _sha256(source.path)) for part, source in named.items()}


def find_sources(config: EncoderConfig, *, file: Path | None = None, published: bool = False) -> Sources:
    """Finds the best weights that can be had.

    In this order: the explicit file; the trained checkpoint of exactly this config; of the backbone and the
    text model published weights, from the hub or from a package, where the config takes such. A hub is asked
    only where there is neither file nor checkpoint, within some seconds; the rest of the encoder is random.

    Args:
        config: of the encoder.
        file: safetensors file of the whole encoder.
        published: take the published parts although there is a checkpoint; all of them must be had.

    Raises:
        WeightsError: no such file, or none of safetensors; or published parts are asked for, and one cannot
            be had.
    """
    if file is not None:
        check_file(file)
        return Sources(Source(FILE, file.name, file))
    committed = committed_sources(config)
    if not published and (committed.whole or not config.backbone_pretrained):
        return committed
    if not config.backbone_pretrained:
        raise WeightsError("the config says backbone_pretrained false: it takes no published weights")
    repositories = _repositories(config)
    found, notes = _find_published(config, repositories)
    if published and not (repositories and found.keys() == repositories.keys()):
        raise WeightsError(
            "published weights cannot be had: "
            + ("; ".join(notes) or f"none are published for {config.backbone} and {config.text_model}")
        )
    return Sources(None, found, notes)


def check_file(file: Path) -> None:
    """Refuses a file of weights that is missing, or none of safetensors; loads no torch.

    Raises:
        WeightsError: it is.
    """
    if not file.is_file():
        raise WeightsError(f"{file}: no such weights file")
    try:
        with safe_open(file, "numpy"):  # reads the header alone
            pass
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{file}: not a readable safetensors file ({error})") from error


def committed_sources(config: EncoderConfig) -> Sources:
    """Finds what the repository itself holds, without a network: the trained checkpoint, or nothing."""
    checkpoint = find_checkpoint(config)
    return Sources(Source(CHECKPOINT, checkpoint.name, checkpoint)) if checkpoint else Sources()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _repositories(config: EncoderConfig) -> dict[str, str]:
    """Returns the hub's repositories of what is published: the backbone, and a text model that is whole."""
    import timm  # loads torch

    from encoder.modules.backbone import timm_name

    known = timm.get_pretrained_cfg(timm_name(config.backbone))
    repositories = {"backbone": known.hf_hub_id} if known is not None and known.hf_hub_id else {}
    if "/" in config.text_model and not config.pruned_sizes("text_model"):
        repositories["text"] = config.text_model
    return repositories


def _find_published(
    config: EncoderConfig, repositories: Mapping[str, str]
) -> tuple[dict[str, Source], tuple[str, ...]]:
    found, notes = {}, []
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(_fetched, repositories.values()))
    for (part, repository), answer in zip(repositories.items(), answers, strict=True):
        if isinstance(answer, Path):
            found[part] = Source(PUBLISHED, repository, answer)
            continue
        notes.append(f"{part}: {answer}")
        if part == "text" and has_package(config):
            try:
                found[part] = Source(PACKAGE, repository, packaged_minilm() / "model.safetensors")
            except (CalibrationDataError, OSError) as error:
                notes.append(f"{part}: {error}")
    return found, tuple(notes)


def _fetched(repository: str) -> Path | HubError:
    try:
        return fetch(repository)
    except HubError as error:
        return error
