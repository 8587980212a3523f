"""The bundle: what an exported folder holds, checked before anything is used."""

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .json_text import quoted
from .manifest import MANIFEST, BundleError, check_parts, read_manifest
from .tensors import (
    PARTS,
    REGION_MASKS,
    REGION_NAMES,
    SIGNATURES,
    Signature,
    TensorSpec,
    signatures,
    tensor_specs,
)
from .tokenizers import FILES as TOKENIZER_FILES
from .tokenizers import Tokenizer, open_tokenizer
from .truncation import TRUNCATIONS

# Callers take the contract between models and runtimes from here, whichever module defines it.
__all__ = [
    "ENGINES", "PARTS", "PRECISIONS", "REGION_MASKS", "REGION_NAMES", "SIGNATURES", "Bundle", "BundleError",
    "Signature", "TensorSpec", "file_sha256", "select_files", "signatures", "tensor_specs",
]  # fmt: skip

ENGINES = ("tflite", "onnx")
PRECISIONS = ("int8", "fp32")


def select_files(files: Mapping[str, Mapping[str, Any]], engine: str, precision: str) -> dict[str, str]:
    """Which file serves which signature, as the entries' engine, precision and signatures say.

    Args:
        files: The manifest's "files": file name -> entry.

    Returns:
        Signature -> file name; without "encode" where no file of its own serves it.

    Raises:
        BundleError: Unknown engine or precision, or no files that serve vision, text and fuse.
    """
    if engine not in ENGINES:
        raise BundleError(f"unknown engine {engine!r}: choose one of {', '.join(ENGINES)}")
    if precision not in PRECISIONS:
        raise BundleError(f"unknown precision {precision!r}: choose one of {', '.join(PRECISIONS)}")
    chosen = {
        signature: name
        for name, entry in files.items()
        if entry.get("engine") == engine and entry.get("precision") == precision
        for signature in entry.get("signatures", ())
    }
    missing = [part for part in PARTS if part not in chosen]
    if missing:
        found = sorted({f"{e['engine']} {e.get('precision')}" for e in files.values() if "engine" in e})
        raise BundleError(
            f"no {engine} {precision} file for {', '.join(missing)}; "
            f"the bundle has: {', '.join(found) or 'none'}"
        )
    return chosen


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class Bundle:
    """An exported folder whose manifest was checked. Files are checked as they are first used."""

    path: Path
    manifest: dict[str, Any]
    tensors: dict[str, TensorSpec]
    _verified: set[str] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def load(cls, path: str | os.PathLike, *, verify: bool = False) -> "Bundle":
        """Reads a bundle's manifest.

        Args:
            path: The bundle's folder.
            verify: Check every listed file now, instead of each as it is first used.

        Raises:
            BundleError: No such folder, no manifest, a manifest that is not what this version reads, or
                (with `verify`) a missing or altered file.
        """
        path = Path(path)
        manifest = read_manifest(path)
        bundle = cls(path, manifest, _check_manifest(manifest, path / MANIFEST))
        if verify:
            for name in bundle.files:
                bundle.file(name)
        return bundle

    def require(self, *keys: str) -> None:
        """Checks parts of the manifest that only some readers need, such as "weights" or "limits.parity".

        Raises:
            BundleError: One is missing, or is not of the form that an export gives it.
        """
        check_parts(self.manifest, keys, self.path)

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """The manifest's file entries, by file name."""
        return self.manifest["files"]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, in pixels, of the image that the model takes."""
        _, height, width, _ = self.tensors["image"].shape
        return height, width

    @property
    def text_max_length(self) -> int:
        """Number of token ids that the model takes."""
        return self.tensors["input_ids"].shape[1]

    @property
    def max_user_norm(self) -> float:
        """Length that user vectors are scaled down to where they are longer (`user.bound_norm`)."""
        return float(self.manifest["preprocessing"]["user"]["max_norm"])

    @property
    def vocab(self) -> Path:
        """The vocabulary's verified file."""
        return self.file(self.manifest["tokenizer"]["vocab"])

    def open_tokenizer(self) -> Tokenizer:
        """Opens the tokenizer that belongs to the model.

        Raises:
            BundleError: One of its files is missing or altered.
            TokenizerError: A file cannot be used.
        """
        return open_tokenizer(self.manifest["tokenizer"], self.file)

    def file(self, name: str) -> Path:
        """Path of a listed file, after comparing its SHA-256 with the manifest (once).

        Raises:
            BundleError: The file is not listed, is missing, or is not the one that was exported.
        """
        path = self.path / name
        if name in self._verified:
            return path
        if name not in self.files:
            raise BundleError(f"{self.path}: the manifest lists no file {name!r}")
        if not path.is_file():
            raise BundleError(f"{path}: the bundle's file is missing; export it again")
        expected = self.files[name]["sha256"]
        found = file_sha256(path)
        if found != expected:
            raise BundleError(
                f"{path}: altered since its export: sha256 {found[:12]}..., "
                f"the manifest says {expected[:12]}...; export it again"
            )
        self._verified.add(name)
        return path


def _check_manifest(manifest: dict[str, Any], path: Path) -> dict[str, TensorSpec]:
    """Checks everything that the runtime relies on; returns the tensors."""
    for key in ("config", "tensors", "signatures", "preprocessing", "tokenizer", "files"):
        if not isinstance(manifest.get(key), dict):
            raise BundleError(f"{path}: {key!r} must be an object")
    masks = manifest["tensors"].get(REGION_MASKS)
    try:
        tensors = tensor_specs(manifest["config"], None if masks is None else _mask_size(masks))
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None
    for name, spec in tensors.items():
        declared = {"dtype": spec.dtype, "shape": list(spec.shape)}
        if manifest["tensors"].get(name) != declared:
            raise BundleError(
                f"{path}: tensor {name!r} must be {declared}, not {quoted(manifest['tensors'].get(name))}"
            )
    for name, signature in signatures(masks=REGION_MASKS in tensors).items():
        declared = {"inputs": list(signature.inputs), "outputs": list(signature.outputs)}
        if manifest["signatures"].get(name) != declared:
            raise BundleError(f"{path}: signature {name!r} must be {declared}")
    _check_preprocessing(manifest, path)
    for name, entry in manifest["files"].items():
        _check_file_entry(name, entry, path)
    return tensors


def _mask_size(declared: object) -> Sequence[int]:
    """Height and width of declared masks; () where nothing of the kind is declared."""
    shape = declared.get("shape") if isinstance(declared, dict) else None
    return shape[2:] if isinstance(shape, list) else ()


def _check_preprocessing(manifest: dict[str, Any], path: Path) -> None:
    config, tokenizer = manifest["config"], manifest["tokenizer"]
    kind = tokenizer.get("type")
    if not isinstance(kind, str) or kind not in TOKENIZER_FILES:
        known = " or ".join(map(repr, TOKENIZER_FILES))
        raise BundleError(f"{path}: tokenizer type must be {known}, not {quoted(kind)}")
    expected = {"max_length": config["text_max_length"]} | (
        {"lowercase": True} if kind == "wordpiece" else {}
    )
    for key, value in expected.items():
        if tokenizer.get(key) != value:
            raise BundleError(f"{path}: tokenizer {key} must be {value!r}, not {quoted(tokenizer.get(key))}")
    if tokenizer.get("truncation") not in TRUNCATIONS:
        found = quoted(tokenizer.get("truncation"))
        raise BundleError(f"{path}: tokenizer truncation must be {' or '.join(TRUNCATIONS)}, not {found}")
    for key in TOKENIZER_FILES[kind]:
        if tokenizer.get(key) not in list(manifest["files"]):
            raise BundleError(f"{path}: tokenizer {key} {quoted(tokenizer.get(key))} is not among the files")
    expected = {"method": "area_integer", "size": list(config["image_size"]), "channels": "RGB"}
    if manifest["preprocessing"].get("image") != expected:
        raise BundleError(f"{path}: preprocessing image must be {expected}")
    user = manifest["preprocessing"].get("user")
    norm = user.get("max_norm") if isinstance(user, dict) and user.get("method") == "bound_norm" else None
    if type(norm) not in (int, float) or not 0 < norm <= sys.float_info.max:
        wanted = '{"method": "bound_norm", "max_norm": a finite number above 0}'
        raise BundleError(f"{path}: preprocessing user must be {wanted}; export again")


def _check_file_entry(name: str, entry: object, path: Path) -> None:
    if not name or name != os.path.basename(name) or "\\" in name or name in (".", "..") or len(name) > 100:
        raise BundleError(f"{path}: file name {quoted(name)} must be a plain name inside the bundle's folder")
    digest, size = (entry.get("sha256"), entry.get("bytes")) if isinstance(entry, dict) else (None, None)
    if not isinstance(digest, str) or len(digest) != 64 or type(size) is not int:
        raise BundleError(f"{path}: file {quoted(name)} has no sha256, or no size in bytes")
    if not all(isinstance(entry.get(key, ""), str) for key in ("engine", "precision")):
        raise BundleError(f"{path}: file {quoted(name)}: engine and precision must be texts")
    signatures = entry.get("signatures", [])
    if not isinstance(signatures, list) or not set(map(str, signatures)) <= SIGNATURES.keys():
        raise BundleError(f"{path}: file {quoted(name)}: signatures must be some of {', '.join(SIGNATURES)}")
