"""Campaigns of files: configs, recipes, samples, manifests, and the files that a manifest lists."""

from __future__ import annotations

import functools
import json
import random
import shutil
from pathlib import Path

from calibration_data.samples import CALIBRATION_SPLITS, SampleError, read_samples
from encoder.config import ConfigError, preset
from export.quantize.recipe import RECIPES, RecipeError, load_recipe
from export.request import RequestError, read_request
from runtime.bundle import Bundle
from runtime.manifest import MANIFEST, BundleError, write_manifest
from tests.fuzz.damage import damaged_bytes, damaged_json, damaged_value
from tests.fuzz.trials import RefusedError, refusals

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "data" / "tiny_bundle"
SCREENS = ROOT / "calibration_data"


def config(chooser: random.Random, folder: Path) -> None:
    """A damaged file of config keys: read, or refused before any work."""
    path = folder / "config.json"
    path.write_bytes(
        damaged_json(preset(chooser.choice(("balanced", "high_performance_pruned"))).to_dict(), chooser)
    )
    with refusals(ConfigError, RequestError):
        read_request("fuzz", config_file=path, out=folder / "out")


def recipe(chooser: random.Random, folder: Path) -> None:
    """A damaged quantization recipe: read, or refused."""
    path = folder / "recipe.json"
    given = json.loads(
        chooser.choice(sorted(set(RECIPES.glob("*.json")) - set(RECIPES.glob("*.search.json")))).read_text()
    )
    path.write_bytes(damaged_json(given, chooser))
    with refusals(RecipeError):
        load_recipe("fuzz", path)


def samples(chooser: random.Random, folder: Path) -> None:
    """A folder of screens with a damaged samples.jsonl: read, or refused."""
    lines = list(_sample_lines())
    place = chooser.randrange(len(lines))
    lines[place] = damaged_json(json.loads(lines[place]), chooser).replace(b"\n", b" ")
    base = _copied_screens(folder)
    (base / "samples.jsonl").write_bytes(b"\n".join(lines))
    with refusals(SampleError):
        read_samples(base, splits=CALIBRATION_SPLITS, user_embed_dim=64)


@functools.cache
def _sample_lines() -> tuple[bytes, ...]:
    lines = (SCREENS / "samples.jsonl").read_bytes().splitlines()
    return tuple(
        line for split in (b'"calibration"', b'"parity"') for line in [x for x in lines if split in x][:8]
    )


def _copied_screens(folder: Path) -> Path:
    """The screens of those lines beside the trials' folders, copied once."""
    base = folder.parent / "samples"
    if not base.exists():
        (base / "screens").mkdir(parents=True)
        for line in _sample_lines():
            name = json.loads(line)["image"]
            shutil.copy(SCREENS / name, base / name)
    return base


def manifest_bit(chooser: random.Random, folder: Path) -> None:
    """One flipped bit of a manifest: always noticed."""
    data = bytearray((TINY / MANIFEST).read_bytes())
    data[chooser.randrange(len(data))] ^= 1 << chooser.randrange(8)
    (folder / MANIFEST).write_bytes(data)
    with refusals(BundleError):
        Bundle.load(folder)
    raise AssertionError("a flipped bit was not noticed")


def manifest(chooser: random.Random, folder: Path) -> None:
    """A manifest with damaged values and the right digest over them: read, or refused."""
    given = json.loads((TINY / MANIFEST).read_text(encoding="utf-8"))
    changed = damaged_value(given, chooser)
    if not isinstance(changed, dict):
        raise RefusedError("no object")
    write_manifest(folder, changed)
    with refusals(BundleError):
        Bundle.load(folder)


def listed_file(chooser: random.Random, folder: Path) -> None:
    """A damaged file of a bundle: always noticed where it is verified."""
    bundle = folder / "bundle"
    shutil.copytree(TINY, bundle)
    name = chooser.choice(sorted(Bundle.load(TINY).files))
    before = (bundle / name).read_bytes()
    after = damaged_bytes(before, chooser)
    (bundle / name).write_bytes(after)
    if after == before:
        return
    with refusals(BundleError):
        Bundle.load(bundle, verify=True)
    raise AssertionError(f"damage of {name} was not noticed")
