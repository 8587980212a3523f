"""A bundle's manifest as a file: written with a digest over itself, and read back whole or not at all."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import InputError
from .json_text import parse_json, quoted, read_bytes

MANIFEST = "manifest.json"
SCHEMA_VERSION = 4
DIGEST = "manifest_sha256"
"""First key of a manifest: SHA-256 of the file's bytes with zeros in place of its 64 hexadecimal digits.

So every bit of the file counts, and a reader needs no canonical form of JSON.
"""
_HEAD = f'{{\n "{DIGEST}": "'.encode()
_ZEROS = "0" * 64
_NUMBER = (int, float)
_ANY = "any key"
_FORMS: dict[str, Any] = {
    "preset": str,
    "limits.parity": {"fp32": dict, "int8": dict},
    "limits.latency_ms": _NUMBER,
    "limits.memory_bytes": _NUMBER,
    "weights": {"parts": dict},
    "parameters": {"total": int, _ANY: int},
    "budgets": [
        {"name": str, "limit": _NUMBER, "relation": {"<", "<=", ">="}, "value": (*_NUMBER, type(None)),
         "unit": str, "how": str}
    ],
    "arm64": {"target": str, "paths": [{"path": str, "profile": str, "ms": _NUMBER}]},
}  # fmt: skip
"""Parts that only some readers need: the type, the valid texts, the object's keys or the list's items."""


class BundleError(InputError):
    """The folder is not a usable bundle."""


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Writes a bundle's manifest; the one function that does.

    Args:
        folder: The bundle's folder.
        manifest: Everything but the digest; a digest in it is replaced.

    Returns:
        The manifest as it is read back, with its digest.

    Raises:
        ValueError: A number in it is not finite.
    """
    sealed = {DIGEST: _ZEROS} | {key: value for key, value in manifest.items() if key != DIGEST}
    data = (json.dumps(sealed, indent=1, allow_nan=False) + "\n").encode()
    sealed[DIGEST] = hashlib.sha256(data).hexdigest()
    (folder / MANIFEST).write_bytes(_with_digest(data, sealed[DIGEST]))
    return sealed


def read_manifest(folder: Path) -> dict[str, Any]:
    """Reads a bundle's manifest.

    Raises:
        BundleError: There is none, or it is of another schema_version, or is not what `write_manifest` wrote.
    """
    path = folder / MANIFEST
    if not os.path.lexists(path):
        what = "not a bundle: it has no " + MANIFEST if folder.is_dir() else "no such bundle folder"
        raise BundleError(f"{folder}: {what}")
    data = read_bytes(path, BundleError)
    manifest = parse_json(data, str(path), BundleError)
    if not isinstance(manifest, dict):
        raise BundleError(f"{path}: must hold one JSON object")
    version = manifest.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:  # before the digest, which older ones lack
        raise BundleError(
            f"{path}: schema_version {quoted(version)} is unknown, this runtime reads {SCHEMA_VERSION}; "
            "export again, or use the runtime that belongs to the bundle"
        )
    found = hashlib.sha256(_with_digest(data, _ZEROS)).hexdigest()
    if data != _with_digest(data, found):
        raise BundleError(
            f"{path}: altered since its export: it is not what its {DIGEST} was taken of; export it again"
        )
    return manifest


def check_parts(manifest: Mapping[str, Any], keys: tuple[str, ...], where: Path) -> None:
    """Checks parts of a manifest that not every reader needs.

    Args:
        manifest: The manifest.
        keys: Some of those in `_FORMS`.
        where: The bundle's folder, for errors.

    Raises:
        BundleError: A part is missing, or has another form than an export gives it.
    """
    for key in keys:
        value: Any = manifest
        for name in key.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        bad = _first_unlike(value, _FORMS[key], key)
        if bad is not None:
            raise BundleError(
                f"{where}: the manifest has no usable {quoted(bad, plain=True)}; export it again"
            )


def _first_unlike(value: Any, form: Any, where: str) -> str | None:
    """Names the first part of a value that is not of a form; None where all are."""
    if isinstance(form, (type, tuple)):
        return None if isinstance(value, form) else where
    if isinstance(form, set):
        return None if isinstance(value, str) and value in form else where
    if not isinstance(value, type(form)):
        return where
    if isinstance(form, dict):
        lost = [key for key in form if key != _ANY and key not in value]
        if lost:
            return f"{where}.{lost[0]}"
        parts = [
            (item, form.get(key, form.get(_ANY, object)), f"{where}.{key}") for key, item in value.items()
        ]
    else:
        parts = [(item, form[0], f"{where}[{index}]") for index, item in enumerate(value)]
    return next((bad for bad in (_first_unlike(*part) for part in parts) if bad is not None), None)


def _with_digest(data: bytes, digest: str) -> bytes:
    """The file with these digits where its digest stands."""
    return _HEAD + digest.encode() + data[len(_HEAD) + len(digest) :]
