"""The ablation's results, and the committed file of them, which `python -m benchmarks advise` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import InputError
from runtime.files import write_atomically

FILE = Path(__file__).with_name("results.json")
SCHEMA_VERSION = 1
HOW_TO_MAKE = "make ablation ARGS=--write-docs"


@dataclass(frozen=True)
class Result:
    """One row and what was found.

    Attributes:
        name, kind, also: as in `rows.Row`.
        config: keys of the encoder's config.
        digest: of the job that found the figures; empty where none did.
        figures: see `figures.figures`; None where there are none.
        error: why not.
        stale: the figures were found by earlier code, or with other weights or screens.
    """

    name: str
    kind: str
    also: tuple[str, ...]
    config: dict[str, Any]
    digest: str = ""
    figures: dict[str, Any] | None = None
    error: str = ""
    stale: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        return vars(self) | {"also": list(self.also)}

    def m_instructions(self, path: str = "encode") -> float | None:
        """Million instructions of a path on the target phone; None where nothing was counted."""
        return self.phone(path).get("m_instructions")

    def phone(self, path: str, profile: str | None = None) -> Mapping[str, Any]:
        """Instructions and milliseconds of a path on a phone, by default the target; empty if not counted."""
        figures = self.figures or {}
        return figures.get("phones", {}).get(profile or figures.get("target"), {}).get(path, {})

    def quality(self, key: str = "R@1 test") -> float | None:
        """A figure of quality by its key in `budgets.QUALITY`; None where none was measured."""
        quality = (self.figures or {}).get("quality")
        return None if quality is None else quality[key]


def load(path: Path = FILE) -> list[Result]:
    """Reads committed results; none where there is no file.

    Raises:
        InputError: it is not such a file.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version {found['schema_version']}, not {SCHEMA_VERSION}")
        return [Result(**row | {"also": tuple(row["also"])}) for row in found["rows"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: not the ablation's results: {error}; write it anew: {HOW_TO_MAKE}"
        ) from error


def to_dict(results: Sequence[Result]) -> dict[str, Any]:
    """Returns results as JSON types, as the committed file holds them."""
    return {"schema_version": SCHEMA_VERSION, "rows": [result.to_dict() for result in results]}


def save(results: Sequence[Result], path: Path = FILE) -> None:
    """Writes results."""
    write_atomically(path, (json.dumps(to_dict(results), indent=1) + "\n").encode())


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Returns the names of points that no other point beats, the cheapest first.

    Args:
        points: name -> cost and loss, the less the better; a point is beaten by one that is no worse in both
            and better in one.
    """
    kept = [
        name
        for name, (cost, loss) in points.items()
        if not any(
            other_cost <= cost and other_loss <= loss and (other_cost, other_loss) != (cost, loss)
            for other_cost, other_loss in points.values()
        )
    ]
    return sorted(kept, key=lambda name: points[name])
