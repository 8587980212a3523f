"""Device profiles: which core is emulated, and how counted instructions become simulated milliseconds."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from evaluation.arm64.errors import Arm64Error

PROFILES_FILE = Path(__file__).with_name("profiles.toml")
_HWCAP_BASE = ("fp", "asimd", "evtstrm", "aes", "pmull", "sha1", "sha2", "crc32")
_HWCAP_V8_2 = ("atomics", "cpuid", "asimdrdm", "lrcpc", "dcpop")
_HWCAP_FP16 = {"fphp": 1 << 9, "asimdhp": 1 << 10}  # Linux's bits of AT_HWCAP
_HWCAP_DOT = {"asimddp": 1 << 20}


@dataclass(frozen=True)
class Profile:
    """A phone.

    Attributes:
        name: the key in profiles.toml.
        title, soc, core, year: the device, its chip, the core that runs the model, and when it was sold.
        qemu_cpu: the emulator's `-cpu`.
        implementer, part, variant, revision: the core's identity, by which engines choose kernels.
        fp16, dot_product: instruction sets that the engines may use.
        m_instructions_per_ms: million instructions retired in a millisecond.
        m_instructions_per_ms_range: its lowest and highest published values.
        source: where the rate comes from.
    """

    name: str
    title: str
    soc: str
    core: str
    year: int
    qemu_cpu: str
    implementer: int
    part: int
    variant: int
    revision: int
    fp16: bool
    dot_product: bool
    m_instructions_per_ms: float
    m_instructions_per_ms_range: tuple[float, float]
    source: str

    def milliseconds(self, m_instructions: float) -> float:
        """Returns the simulated milliseconds of `m_instructions` million instructions."""
        return m_instructions / self.m_instructions_per_ms

    def milliseconds_range(self, m_instructions: float) -> tuple[float, float]:
        """Returns the simulated milliseconds at the highest and at the lowest published rate."""
        slowest, fastest = self.m_instructions_per_ms_range
        return m_instructions / fastest, m_instructions / slowest

    @property
    def hidden_hwcap(self) -> int:
        """Bits to take out of AT_HWCAP, since the emulated core has instructions that the phone lacks."""
        hidden = ({} if self.fp16 else _HWCAP_FP16) | ({} if self.dot_product else _HWCAP_DOT)
        return sum(hidden.values())

    @property
    def cpuinfo(self) -> str:
        """The text of /proc/cpuinfo with a single core."""
        features = _HWCAP_BASE + (_HWCAP_V8_2 if self.fp16 or self.dot_product else ("cpuid",))
        features += tuple(_HWCAP_FP16) * self.fp16 + tuple(_HWCAP_DOT) * self.dot_product
        rows = {
            "processor": "0", "BogoMIPS": "38.40", "Features": " ".join(features),
            "CPU implementer": f"{self.implementer:#04x}", "CPU architecture": "8",
            "CPU variant": f"{self.variant:#x}", "CPU part": f"{self.part:#05x}",
            "CPU revision": str(self.revision),
        }  # fmt: skip
        return "".join(f"{key}\t: {value}\n" for key, value in rows.items())

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        return asdict(self) | {"m_instructions_per_ms_range": list(self.m_instructions_per_ms_range)}


def load_profiles(path: Path = PROFILES_FILE) -> tuple[dict[str, Profile], str]:
    """Reads device profiles.

    Returns:
        The profiles by name, and the default's name.

    Raises:
        Arm64Error: The file is not TOML, or a field is missing, unknown, of another type or out of range.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Arm64Error(f"{path}: cannot read device profiles: {error}") from error
    tables, default = document.get("profile"), document.get("default")
    if not isinstance(tables, dict) or not tables:
        raise Arm64Error(f"{path}: has no [profile.NAME] table")
    profiles = {name: _parse(path, name, table) for name, table in tables.items()}
    if default not in profiles:
        raise Arm64Error(f"{path}: default must be one of {', '.join(profiles)}, not {default!r}")
    return profiles, default


@cache
def shipped_profiles() -> tuple[dict[str, Profile], str]:
    """Returns the profiles of profiles.toml, and the default's name."""
    return load_profiles()


def choose(names: Iterable[str] | None) -> list[Profile]:
    """Returns the named profiles, or all of them for None; the one that decides comes first.

    Raises:
        Arm64Error: A name is unknown.
    """
    profiles, default = shipped_profiles()
    names = list(names) if names is not None else [default, *(name for name in profiles if name != default)]
    for name in names:
        if name not in profiles:
            raise Arm64Error(f"unknown profile {name!r}: choose one of {', '.join(profiles)}")
    if not names:
        raise Arm64Error(f"no profile given: choose from {', '.join(profiles)}")
    return [profiles[name] for name in dict.fromkeys(names)]


_TYPES: dict[str, type | tuple[type, ...]] = {
    "title": str, "soc": str, "core": str, "year": int, "qemu_cpu": str, "implementer": int, "part": int,
    "variant": int, "revision": int, "fp16": bool, "dot_product": bool, "m_instructions_per_ms": (int, float),
    "m_instructions_per_ms_range": list, "source": str,
}  # fmt: skip


def _parse(path: Path, name: str, table: Any) -> Profile:
    where = f"{path}: [profile.{name}]"
    if not isinstance(table, dict):
        raise Arm64Error(f"{where} must be a table")
    if table.keys() != _TYPES.keys():
        missing, unknown = sorted(_TYPES.keys() - table.keys()), sorted(table.keys() - _TYPES.keys())
        raise Arm64Error(
            f"{where}: missing {', '.join(missing) or 'none'}; unknown {', '.join(unknown) or 'none'}"
        )
    for key, kind in _TYPES.items():
        if not isinstance(table[key], kind) or (isinstance(table[key], bool) and kind is not bool):
            raise Arm64Error(f"{where}: {key} has the wrong type: {table[key]!r}")
    span, rate = table["m_instructions_per_ms_range"], table["m_instructions_per_ms"]
    numbers = len(span) == 2 and all(type(v) in (int, float) and math.isfinite(v) for v in (*span, rate))
    if not numbers or not 0 < span[0] <= rate <= span[1]:
        raise Arm64Error(
            f"{where}: needs 0 < lowest <= m_instructions_per_ms <= highest, not {rate!r} in {span!r}"
        )
    return Profile(name=name, **table | {"m_instructions_per_ms_range": (float(span[0]), float(span[1]))})
