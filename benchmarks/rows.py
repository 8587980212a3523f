"""The rows of a comparison, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

OURS = "ours"


@dataclass(frozen=True)
class Row:
    """One way of taking the same weights to a phone. What could not be measured is None.

    Attributes:
        name: of the row.
        tool, version: that made the files.
        how: the exact call.
        file_bytes: on disk, of all files that vision, text and fuse need.
        m_instructions: million instructions of a whole encode on the emulated target core.
        p50_ms: of a whole encode on this host, one thread on one core.
        ratio: its time by ours, the median of rounds in which every row took its turn.
        private_bytes: private memory that opening and running adds to a process that has the engine.
        cosine_min, cosine_mean, mean_centred_cosine_min: of the golden samples' embeddings with PyTorch's.
        load_ms: opening the files.
        export_s: from PyTorch to the files.
        error: why there are no files, or why this host does not run them.
        not_counted: why there is no count.
    """

    name: str
    tool: str
    version: str = ""
    how: str = ""
    file_bytes: int | None = None
    m_instructions: float | None = None
    p50_ms: float | None = None
    ratio: float | None = None
    private_bytes: int | None = None
    cosine_min: float | None = None
    cosine_mean: float | None = None
    mean_centred_cosine_min: float | None = None
    load_ms: float | None = None
    export_s: float | None = None
    error: str = ""
    not_counted: str = ""

    def having(self, **fields) -> Row:
        """Returns the row with more fields known."""
        return replace(self, **fields)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Standing:
    """What the rows say together.

    Attributes:
        best_baseline: the baseline with the fewest instructions; None where none was counted.
        times: its instructions by ours.
        smallest: whether no baseline's files are smaller than ours.
        smallest_baseline: the baseline with the fewest bytes; None where none has files.
    """

    best_baseline: Row | None
    times: float | None
    smallest: bool
    smallest_baseline: Row | None

    def to_dict(self) -> dict[str, Any]:
        """Returns the verdict as JSON types."""
        return {
            "best_baseline": self.best_baseline and self.best_baseline.name,
            "times": self.times,
            "smallest": self.smallest,
            "smallest_baseline": self.smallest_baseline and self.smallest_baseline.name,
        }


def judge(rows: Sequence[Row]) -> Standing:
    """Sets our row against the best of the others in each respect.

    A baseline whose files stopped, on this host or elsewhere, is no choice: it is left out.
    """
    ours = next(row for row in rows if row.name == OURS)
    baselines = [row for row in rows if row.name != OURS and not row.error]
    counted = [row for row in baselines if row.m_instructions is not None]
    sized = [row for row in baselines if row.file_bytes is not None]
    best = min(counted, key=lambda row: row.m_instructions, default=None)
    small = min(sized, key=lambda row: row.file_bytes, default=None)
    known = best is not None and ours.m_instructions is not None
    return Standing(
        best_baseline=best,
        times=best.m_instructions / ours.m_instructions if known else None,
        smallest=ours.file_bytes is not None and (small is None or ours.file_bytes <= small.file_bytes),
        smallest_baseline=small,
    )
