"""The rows of the ablation: every preset, balanced with one slot exchanged, or a sweep of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from encoder.config import PRESETS, ConfigError, EncoderConfig
from runtime.errors import InputError
from runtime.json_text import quoted, read_json

BASE = "balanced"
"""The default, Option A of the guide."""
PRESET, VARIANT, SWEEP = "preset", "variant", "sweep"


class RowError(InputError):
    """Rows that do not exist or cannot be read; the message says what is valid."""


@dataclass(frozen=True)
class Row:
    """One encoder to measure.

    Attributes:
        name: what users call it: a preset, `slot=option`, or a name of their own.
        kind: PRESET, VARIANT or SWEEP.
        config: of the encoder.
        also: other names of the same encoder, for which there is no row.
    """

    name: str
    kind: str
    config: EncoderConfig
    also: tuple[str, ...] = ()

    @property
    def bundle(self) -> str:
        """Name of the exported bundle; it also picks the recipe, a preset's own or the default."""
        if self.kind == PRESET:
            return self.name
        return "".join(
            letter if letter.isalnum() or letter in "_-" else "-" for letter in f"{BASE}-{self.name}"
        )


def slots() -> dict[str, Mapping[str, Any]]:
    """Returns the options of every slot that can be exchanged, by the slot's config key."""
    from encoder.modules.backbone import BACKBONES
    from encoder.modules.fusion import FUSIONS
    from encoder.modules.global_view import GLOBAL_VIEWS
    from encoder.modules.regions import REGIONS
    from encoder.modules.text import TEXT_MODELS

    return {
        "backbone": BACKBONES,
        "roi_method": REGIONS,
        "global_projection": GLOBAL_VIEWS,
        "text_model": TEXT_MODELS,
        "fusion": FUSIONS,
    }


def all_rows() -> list[Row]:
    """Returns every preset, then balanced with each single slot exchanged; the same encoder only once."""
    options = slots()
    rows = [Row(name, PRESET, config) for name, config in PRESETS.items()]
    for slot, choices in options.items():
        for option in choices:
            row = Row(f"{slot}={option}", VARIANT, changed(PRESETS[BASE], {slot: option}))
            same = next(
                (i for i, other in enumerate(rows) if _identity(other, options) == _identity(row, options)),
                None,
            )
            if same is None:
                rows.append(row)
            elif rows[same].name != BASE:  # balanced's own options are no variant
                rows[same] = replace(rows[same], also=(*rows[same].also, row.name))
    return rows


def read_sweep(path: Path) -> list[Row]:
    """Reads rows of one's own: a JSON object of row name -> the config keys that differ from Option A.

    Raises:
        RowError: it is not such a file; the message says where.
    """
    values = read_json(path, RowError)
    if not isinstance(values, dict) or not values:
        raise RowError(f"{path}: must hold one JSON object of row name -> config keys, with at least one row")
    rows = []
    for name, changes in values.items():
        if not name or not all(letter.isalnum() or letter in "_-" for letter in name):
            raise RowError(f"{path}: the row's name {quoted(name)} may hold only letters, digits, _ and -")
        if not isinstance(changes, dict):
            raise RowError(f"{path}: {name}: must be an object of config keys, not {quoted(changes)}")
        try:
            rows.append(Row(name, SWEEP, changed(PRESETS[BASE], changes)))
        except ConfigError as error:
            raise RowError(f"{path}: {name}: {error}") from error
    return rows


def choose(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """Returns the named rows, in the ablation's order; all of them for no names.

    Raises:
        RowError: there is no such row; the message lists the valid names.
    """
    known = {name: row for row in rows for name in (row.name, *row.also)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise RowError(f"unknown row {', '.join(map(repr, unknown))}; the rows are {', '.join(known)}")
    wanted = {known[name].name for name in names}
    return [row for row in rows if not names or row.name in wanted]


def changed(config: EncoderConfig, changes: Mapping[str, Any]) -> EncoderConfig:
    """Returns a config with some keys changed.

    Raises:
        ConfigError: an unknown key or a bad value.
    """
    values = config.to_dict()
    if {"fusion", "fusion_layers"} & changes.keys():  # each completes the other
        del values["fusion"], values["fusion_layers"]
    return EncoderConfig.from_dict(values | dict(changes))


def _identity(row: Row, options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A config with what each option stands for in place of its name: two names may mean one module."""
    return asdict(row.config) | {
        slot: choices.get(getattr(row.config, slot)) for slot, choices in options.items()
    }
