"""A limit, what was measured, and whether it holds: as manifests and commands have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """One limit and its verdict.

    Attributes:
        name: what is limited.
        limit: the bound itself.
        relation: `<`, `<=` or `>=`, between value and limit.
        value: what was measured; None where nothing has been measured yet.
        unit: of limit and value.
        how: how the value was measured, or what measures it.
        gated: whether it decides the exit status; other phones than the target are shown beside it.
        item: of the checklist, where it belongs to one.
        profile: the emulated phone, where it is of one.
    """

    name: str
    limit: float
    relation: str
    value: float | None
    unit: str = ""
    how: str = ""
    gated: bool = True
    item: str = ""
    profile: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the limit holds; None where nothing has been measured yet."""
        if self.value is None:
            return None
        compare = {
            "<": self.value < self.limit,
            "<=": self.value <= self.limit,
            ">=": self.value >= self.limit,
        }
        return compare[self.relation]

    @property
    def failed(self) -> bool:
        """Whether a limit that decides does not hold."""
        return self.gated and self.passed is False

    def to_dict(self) -> dict[str, Any]:
        """Returns the manifest's form, the verdict included."""
        return {**asdict(self), "pass": self.passed}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Verdict:
        """Reads the manifest's form; the verdict is computed, never believed."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})
