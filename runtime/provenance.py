"""Where an encoder's weights came from, part by part. Loads no torch: a bundle's readers use it too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FILE, CHECKPOINT, PUBLISHED, PACKAGE, RANDOM = "file", "checkpoint", "published", "package", "random"
DESCRIPTIONS = {
    FILE: "weights file {}",
    CHECKPOINT: "trained checkpoint {}",
    PUBLISHED: "published weights of {}",
    PACKAGE: "published weights of {}, from a package",
    RANDOM: "random, {}",
}
"""Every source, in order of precedence, with the text that describes it; {} stands for a part's detail."""
TEXT_PROJECTION = "text.projection"
"""Its own part where it has another source than the text model below it, which is published without one."""


class WeightsError(ValueError):
    """Weights that cannot be had or loaded; the message names the file and the tensors."""


@dataclass(frozen=True)
class Part:
    """Weights of one part.

    Attributes:
        source: `file`, `checkpoint`, `published`, `package` or `random`.
        detail: which: a file's name, a repository, or the seed.
        sha256: over names, dtypes, shapes and bytes of its tensors, in order of their names.
    """

    source: str
    detail: str
    sha256: str


@dataclass(frozen=True)
class Weights:
    """Where the loaded weights came from.

    Attributes:
        sha256: over all tensors, as a part's.
        parts: `backbone`, `regions`, `global_view`, `text`, `user`, `fusion`, those that have tensors; and
            `text.projection` where it has another source than the rest of `text`.
    """

    sha256: str
    parts: Mapping[str, Part]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Weights:
        """Reads what `to_dict` wrote, a manifest's entry "weights".

        Raises:
            WeightsError: it is no such entry, as in a bundle of an earlier version.
        """
        try:
            parts = {name: Part(**part) for name, part in values["parts"].items()}
            known = all(part.source in DESCRIPTIONS for part in parts.values())
        except (KeyError, TypeError, AttributeError):
            known = False
        if not known or not parts:
            raise WeightsError("the manifest does not say where each part's weights came from: export again")
        return cls(values.get("sha256", ""), parts)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        return asdict(self)

    @property
    def random(self) -> list[str]:
        """The parts whose weights are random."""
        return [name for name, part in self.parts.items() if part.source == RANDOM]

    @property
    def source(self) -> str:
        """The sources in a word or two, such as `checkpoint` or `published + random`."""
        found = {part.source for part in self.parts.values()}
        return " + ".join(source for source in DESCRIPTIONS if source in found)

    @property
    def warning(self) -> str:
        """What a bundle with random weights has to say loudly; empty where no part is random."""
        if not self.random:
            return ""
        which = "all parts" if len(self.random) == len(self.parts) else ", ".join(self.random)
        return f"RANDOM WEIGHTS in {which}: the embedding carries no meaning yet"

    @property
    def lines(self) -> list[str]:
        """A line for each source: what came from there."""
        groups: dict[str, list[str]] = {}
        for name, part in self.parts.items():
            groups.setdefault(DESCRIPTIONS[part.source].format(part.detail), []).append(name)
        if len(groups) == 1:
            return [f"{next(iter(groups))}, all {len(self.parts)} parts"]
        return [f"{', '.join(names)}: {said}" for said, names in groups.items()]

    @property
    def summary(self) -> str:
        """All of `lines` in one."""
        return "; ".join(self.lines)
