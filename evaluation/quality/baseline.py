"""What random weights reach on the test split: recorded once, to compare trained ones with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.errors import InputError
from runtime.files import write_atomically
from runtime.provenance import RANDOM, Weights

FILE = Path(__file__).with_name("random_weights.json")


class BaselineError(InputError):
    """The bundle cannot be the baseline."""


def record(report: Mapping[str, Any], weights: Weights, path: Path = FILE) -> None:
    """Keeps the float figures of a bundle with random weights.

    Args:
        report: of `measure`.
        weights: where the bundle's came from.
        path: the file to write.

    Raises:
        BaselineError: the weights are not all random.
    """
    if weights.source != RANDOM:
        raise BaselineError(
            f"the weights of this bundle are not random ({weights.source}): "
            "export one with random weights and record that"
        )
    row = report["engines"][0]
    values = {key: row[key] for key in ("retrieval", "screen_class", "spearman", "mean_pairwise_cosine")}
    values["screen_class"] = {
        split: {key: value for key, value in kind.items() if key != "confusion"}
        for split, kind in row["screen_class"].items()
    }
    kept = {"split_sha256": report["split"]["sha256"], "weights": weights.summary, **values}
    write_atomically(path, (json.dumps(kept, indent=1) + "\n").encode())


def load(split_sha256: str, path: Path = FILE) -> dict[str, Any] | None:
    """What was recorded on this very test split; None where nothing was.

    Args:
        split_sha256: of the test split.
        path: the recorded file.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return kept if kept["split_sha256"] == split_sha256 else None
