"""Results on disk, by a digest of all that they depend on: unchanged models are not emulated again."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from runtime.files import forget_oldest, write_atomically

_KEPT = 400


def digest(parts: Any) -> str:
    """Returns a short digest of JSON-able values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def load(folder: Path, key: str) -> dict[str, Any] | None:
    """Returns a stored result; None where there is none or it cannot be read."""
    path = folder / f"{key}.json"
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(result, dict) or result.get("key") != key:
        return None
    os.utime(path)  # the oldest use is forgotten first
    return result["value"]


def store(folder: Path, key: str, value: dict[str, Any]) -> None:
    """Stores a result, and forgets those unused for longest beyond the newest few hundred."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{key}.json", json.dumps({"key": key, "value": value}).encode())
    forget_oldest(folder.glob("*.json"), keep=_KEPT)
