"""The names that a config may give, read from the text of the files that define them.

To import those files takes torch and seconds; a config that cannot be built is refused in a fraction of one.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from encoder.config import PRUNED_KEYS, ConfigError, EncoderConfig

SLOTS = {
    "backbone": ("modules/backbone.py", "BACKBONES"),
    "roi_method": ("modules/regions.py", "REGIONS"),
    "global_projection": ("modules/global_view.py", "GLOBAL_VIEWS"),
    "text_model": ("modules/text.py", "TEXT_MODELS"),
    "fusion": ("modules/fusion.py", "FUSIONS"),
}
"""File of each slot, and the literal dict in it whose keys are its options."""
TIMM = "timm/"


def check_options(config: EncoderConfig) -> None:
    """Refuses a config that names what there is not, without loading torch.

    Raises:
        ConfigError: an unknown option of a slot (the valid ones are listed), a name that timm does not have,
            an image size that does not fit one of the backbones with names of their own, or a pruned size
            that an option does not have.
    """
    for slot in SLOTS:
        name, names = getattr(config, slot), tuple(options(slot))
        if slot == "backbone" and name not in names:
            _check_timm(name, names)
        elif name not in names:
            raise ConfigError(f"unknown {slot} {name!r}; valid options: {', '.join(names)}")
    if config.backbone in options("backbone"):
        check_image_size(config.backbone, config.image_size, size_multiple(config.backbone))
    longest = options("text_model")[config.text_model].get("LONGEST")
    check_text_length(config.text_model, config.text_max_length, longest)
    for slot in set(PRUNED_KEYS.values()):
        sizes = {name: of.get("SIZES", {}) for name, of in options(slot).items()}
        check_pruned_sizes(config, slot, sizes)


@functools.cache
def options(slot: str) -> dict[str, dict[str, Any]]:
    """Returns what the options of a slot declare: by name, the literals among their class's attributes."""
    file, table = SLOTS[slot]
    body, classes = _parsed(Path(__file__).parent / file), _classes()
    (listed,) = (node.value for node in body if isinstance(node, ast.AnnAssign) and node.target.id == table)
    return {
        ast.literal_eval(key): _literals(classes.get(getattr(value, "id", None)))
        for key, value in zip(listed.keys, listed.values, strict=True)
    }


@functools.cache
def _classes() -> dict[str, ast.ClassDef]:
    """All classes of the modules: an option's may stand in another file than its slot's."""
    files = sorted((Path(__file__).parent / "modules/").glob("*.py"))
    return {node.name: node for file in files for node in _parsed(file) if isinstance(node, ast.ClassDef)}


def _parsed(file: Path) -> list[ast.stmt]:
    return ast.parse(file.read_text(encoding="utf-8")).body


def _literals(option: ast.ClassDef | None) -> dict[str, Any]:
    found = {}
    for node in [] if option is None else option.body:
        target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
        try:
            found[target.id] = ast.literal_eval(node.value)
        except (AttributeError, ValueError, TypeError):
            continue  # not an assignment, or of something that is computed
    return found


def prunable_keys(config: EncoderConfig) -> list[str]:
    """Returns the config keys by which the options of a config can be pruned; [] where none can."""
    return [
        key
        for key, slot in PRUNED_KEYS.items()
        if key.split("_", 1)[1] in options(slot)[getattr(config, slot)].get("SIZES", {})
    ]


def check_pruned_sizes(config: EncoderConfig, slot: str, sizes: Mapping[str, Mapping[str, int]]) -> None:
    """Refuses a pruned size that the option of a slot does not have.

    Args:
        config: what is asked for.
        slot: `text_model` or `global_projection`.
        sizes: by option, its own sizes by argument; empty where it has one size.

    Raises:
        ConfigError: the option cannot be pruned, or has fewer.
    """
    name = getattr(config, slot)
    for argument, size in config.pruned_sizes(slot).items():
        key = f"{slot.split('_')[0]}_{argument}"
        if argument not in sizes[name]:
            can = ", ".join(option for option, own in sizes.items() if own)
            raise ConfigError(
                f"{key} is {size}, but {slot} {name!r} comes in one size and cannot be pruned; "
                f"those that can: {can}"
            )
        if not 1 <= size <= sizes[name][argument]:
            raise ConfigError(
                f"{key} is {size}; it must be from 1 to {sizes[name][argument]}, the size of {name}"
            )


def unknown_backbone(name: str, names: tuple[str, ...], close: list[str], needed: str) -> ConfigError:
    """Returns the error for a backbone that timm does not have."""
    such = f", such as: {', '.join(TIMM + other for other in close[:8])}" if close else ""
    return ConfigError(
        f"unknown backbone {name!r}; valid options: {', '.join(names)}, or timm/NAME of a timm model with "
        f"{needed}{such}"
    )


def size_multiple(model: str, reduction: int = 32) -> int:
    """Returns what height and width of the image must be multiples of.

    Args:
        model: timm's name, or a backbone's own.
        reduction: pixels of a cell of the deepest map, in each direction.
    """
    # MobileViT cuts its last map into patches of 2x2; other sizes would be resampled inside the model.
    return reduction * 2 if model.startswith("mobilevit") else reduction


def check_text_length(name: str, max_length: int, longest: int | None) -> None:
    """Raises a ConfigError where texts are to be longer than a text tower's positions."""
    if longest is not None and max_length > longest:
        raise ConfigError(f"text_max_length is {max_length}; {name} has positions for {longest} tokens")


def check_image_size(name: str, image_size: tuple[int, int], multiple: int) -> None:
    """Raises a ConfigError where a backbone cannot take images of a height and width."""
    if any(side < multiple or side % multiple for side in image_size):
        height, width = image_size
        raise ConfigError(
            f"image_size {height}x{width} does not fit {name}: height and width must be multiples of "
            f"{multiple}"
        )


def _check_timm(name: str, names: tuple[str, ...]) -> None:
    """Refuses a name that the files of timm's models neither define nor quote; timm judges the others."""
    model = name.removeprefix(TIMM).split(".")[0]
    names_there, known = _timm_names()
    if model not in names_there:
        close = sorted(other for other in known if other.startswith(model.split("_")[0]))
        raise unknown_backbone(name, names, close, "feature maps (features_only)")


@functools.cache
def _timm_names() -> tuple[frozenset[str], tuple[str, ...]]:
    """What the files of timm's models define or quote, and the functions there that build a model."""
    spec = find_spec("timm")  # finds the package, does not import it
    files = sorted(Path(spec.origin).parent.glob("models/*.py"))
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    known = re.findall(r"^def (\w+)\(pretrained", text, re.MULTILINE)
    quoted = re.findall(r"[\"'](\w+)[\"'.]", text)  # names that stand for a function of another name
    return frozenset((*known, *quoted)), tuple(known)
