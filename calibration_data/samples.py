"""The one reader of folders of screens: `samples.jsonl` and its images, checked line by line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calibration_data import CalibrationDataError
from runtime.json_text import parse_json, quoted, read_text
from runtime.tensors import REGION_NAMES

SAMPLES = "samples.jsonl"
IMAGES = (".png", ".jpg", ".jpeg", ".webp")
CALIBRATION_SPLITS = ("calibration", "parity")
DATASET_SPLITS = ("train", "validation", "test", "unseen_kit")

REQUIRED = {"id": str, "split": str, "image": str, "text": str}
DATASET_REQUIRED = {
    "user": list, "user_style": str, "kind": str, "view": str, "language": str, "boxes": dict,
    "width": int, "height": int, "target": str, "target_group": str, "siblings": list, "caption": str,
}  # fmt: skip
OPTIONAL = DATASET_REQUIRED | {
    "kit": str, "look": str, "dark": bool, "keyboard": (str, type(None)), "template": str, "text_source": str,
    "kind_caption": str,
}  # fmt: skip
KNOWN = REQUIRED | OPTIONAL

MOST_PIXELS = 65_536
"""Of a side of a screen."""
LARGEST = 3.4028234663852886e38
"""Of a number: what float32 holds."""

Box = tuple[float, float, float, float]


class SampleError(CalibrationDataError):
    """A folder of screens that cannot be used; the message names the file and line."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One context, and what is known about it. Keys that the line lacks have the defaults below.

    Attributes:
        id: unique in the folder.
        split: calibration or parity; in a dataset train, validation, test or unseen_kit.
        image: the screenshot's file.
        text: what has been typed so far; "" where nobody types.
        user: the user vector; None means an unknown user, zeros.
        user_style: the writing style that the vector was drawn around.
        kind: of app, such as "shop".
        view: page of the kind that is drawn, "shop/cart".
        template: its layout, "shop/cart/t17"; layouts of the test split are in no other.
        kit: UI kit that drew it.
        look: "ios" or "material".
        dark: a dark screen.
        keyboard: "letters", "digits" or "email"; None where none is up.
        language: of the screen, "en".
        boxes: [x, y, w, h] in pixels of a screen of `width` x `height`; None where the screen has none.
        width: of the screen in pixels; 0 if unknown.
        height: of the screen in pixels; 0 if unknown.
        text_source: corpus that the target comes from.
        target: what the user ends up typing, or does.
        target_group: samples of one group have equally right targets.
        siblings: the same target as users of other styles would have ended it.
        caption: one sentence that describes the situation.
        kind_caption: one sentence that fits every screen of this kind of app.
    """

    id: str
    split: str
    image: Path
    text: str
    user: tuple[float, ...] | None = None
    user_style: str = ""
    kind: str = ""
    view: str = ""
    template: str = ""
    kit: str = ""
    look: str = ""
    dark: bool = False
    keyboard: str | None = None
    language: str = ""
    boxes: Mapping[str, Box | None] = field(default_factory=dict)
    width: int = 0
    height: int = 0
    text_source: str = ""
    target: str = ""
    target_group: str = ""
    siblings: tuple[str, ...] = ()
    caption: str = ""
    kind_caption: str = ""


def image_files(folder: Path, *, least: int = 1) -> list[Path]:
    """Lists the images of a folder and of those in it, by name: screens about which nothing else is known.

    Raises:
        SampleError: there are fewer than `least`.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGES)
    if len(found) < least:
        kinds = ", ".join(IMAGES)
        raise SampleError(f"{folder}: {len(found)} images ({kinds}) in this folder; {least} needed")
    return found


def read_samples(folder: Path, *, splits: Iterable[str], user_embed_dim: int) -> list[Sample]:
    """Reads and checks the samples of some splits; images are opened later.

    Samples of other splits of the same kind of folder are skipped. The calibration splits need only `id`,
    `split`, `image` and `text`; those of a dataset need what training needs.

    Args:
        folder: holds `samples.jsonl` and the images that it names.
        splits: wanted, all of CALIBRATION_SPLITS or all of DATASET_SPLITS.
        user_embed_dim: length that every user vector must have.

    Returns:
        The samples in the file's order.

    Raises:
        SampleError: no such folder or file, a bad line, an image that is missing or outside the folder, or no
            sample of the wanted splits.
        ValueError: `splits` mixes both kinds of folder or names an unknown split.
    """
    splits = tuple(splits)
    valid = next((kind for kind in (CALIBRATION_SPLITS, DATASET_SPLITS) if set(splits) <= set(kind)), None)
    if not splits or valid is None:
        raise ValueError(f"splits are {splits}; they must be of {CALIBRATION_SPLITS} or of {DATASET_SPLITS}")
    path = folder / SAMPLES
    if not path.exists():
        raise SampleError(f"{folder}: no {SAMPLES} there; see calibration_data/README.md for its form")
    text = read_text(path, SampleError)
    reader = _Reader(folder, user_embed_dim, splits, valid)
    samples: dict[str, Sample] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        sample = reader.read(line, f"{path}:{number}") if line.strip() else None
        if sample is None:
            continue
        if sample.id in samples:
            raise SampleError(f"{path}: the id {quoted(sample.id)} appears twice")
        samples[sample.id] = sample
    if not samples:
        raise SampleError(f"{path}: no samples of split {' or '.join(splits)}")
    return list(samples.values())


class _Reader:
    def __init__(self, folder: Path, user_embed_dim: int, splits: tuple[str, ...], valid: tuple[str, ...]):
        self._folder, self._root = folder, folder.resolve()
        self._user_embed_dim, self._splits, self._valid = user_embed_dim, splits, valid
        self._required = REQUIRED | (DATASET_REQUIRED if valid == DATASET_SPLITS else {})

    def read(self, line: str, where: str) -> Sample | None:
        """Parses one line; None for a split that is not wanted."""
        values = parse_json(line, where, SampleError)
        if not isinstance(values, dict):
            raise SampleError(f"{where}: each line must hold one JSON object")
        if "split" in values and values["split"] not in self._valid:  # before what this kind of folder needs
            raise SampleError(f"{where}: split is {quoted(values['split'])}; valid: {', '.join(self._valid)}")
        _check_keys(values, self._required, where)
        if values["split"] not in self._splits:
            return None
        user, siblings = values.get("user"), values.get("siblings", [])
        if not all(isinstance(text, str) for text in siblings):
            raise SampleError(f"{where}: siblings must be texts")
        checked = {
            "image": self._image(values["image"], where),
            "user": None if user is None else _numbers("user", user, self._user_embed_dim, where),
            "siblings": tuple(siblings),
            "boxes": _boxes(values, where),
        }
        return Sample(**(values | checked))

    def _image(self, name: str, where: str) -> Path:
        try:
            image = (self._folder / name).resolve()
            found = image.is_file()
        except (OSError, ValueError):  # a name that no file can have
            raise SampleError(f"{where}: no such image: {quoted(name)}") from None
        if not image.is_relative_to(self._root):
            raise SampleError(f"{where}: image {quoted(name)} lies outside {self._folder}")
        if not found:
            raise SampleError(f"{where}: no such image: {quoted(name, plain=True)}")
        return image


def _check_keys(values: dict[str, Any], required: dict[str, Any], where: str) -> None:
    missing = sorted(required.keys() - values.keys())
    if missing:
        raise SampleError(f"{where}: missing {', '.join(missing)}")
    unknown = sorted(values.keys() - KNOWN.keys())
    if unknown:
        given = quoted(", ".join(unknown), plain=True)
        raise SampleError(f"{where}: unknown key {given}; valid keys: {', '.join(KNOWN)}")
    for key, value in values.items():
        if not isinstance(value, KNOWN[key]) or (KNOWN[key] is int and isinstance(value, bool)):
            raise SampleError(f"{where}: {key} is {quoted(value)}, which is of the wrong type")
    for key in values.keys() & {"width", "height"}:
        if not 0 <= values[key] <= MOST_PIXELS:
            given = quoted(values[key])
            raise SampleError(f"{where}: {key} is {given}; it must be from 0 to {MOST_PIXELS}")


def _numbers(name: str, values: list, length: int, where: str) -> tuple[float, ...]:
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    if len(values) != length or not numbers or not all(-LARGEST <= value <= LARGEST for value in values):
        raise SampleError(f"{where}: {name} must be {length} finite numbers of float32")
    return tuple(map(float, values))


def _boxes(values: dict[str, Any], where: str) -> dict[str, Box | None]:
    boxes: dict[str, Box | None] = {}
    for name, value in values.get("boxes", {}).items():
        if name not in REGION_NAMES:
            raise SampleError(
                f"{where}: unknown box {quoted(name, plain=True)}; valid: {', '.join(REGION_NAMES)}"
            )
        if value is None:
            boxes[name] = None
            continue
        if not isinstance(value, list):
            raise SampleError(
                f"{where}: boxes.{name} must be 4 finite numbers, x, y, width and height, or null"
            )
        x, y, width, height = boxes[name] = _numbers(f"boxes.{name}", value, 4, where)
        if "width" not in values or "height" not in values:
            raise SampleError(f"{where}: boxes need the width and height of their screen")
        inside = x >= 0 and y >= 0 and x + width <= values["width"] and y + height <= values["height"]
        if not inside or width <= 0 or height <= 0:
            raise SampleError(
                f"{where}: boxes.{name} is {quoted(value)}, not inside the screen of "
                f"{values['width']}x{values['height']} pixels"
            )
    return boxes
