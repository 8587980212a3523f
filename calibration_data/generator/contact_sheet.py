"""One picture of many screens, for the README: `python -m calibration_data contact-sheet`."""

import argparse
import json
from collections import Counter
from pathlib import Path

from PIL import Image, ImageDraw

from calibration_data import ROOT, CalibrationDataError
from calibration_data.generator.render import SAMPLES_FILE
from runtime.files import write_atomically

COLUMNS, ROWS = 8, 3
TILE_WIDTH_PX, GAP_PX, RADIUS_PX = 168, 18, 12
BACKGROUND = (238, 240, 244)
QUALITY = 82
FILE_NAME = "contact_sheet.webp"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `contact-sheet`."""
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT,
        metavar="DIR",
        help="a folder that `render` has written (default this package)",
    )


def run(options: argparse.Namespace) -> int:
    """Makes the picture; returns 0.

    Raises:
        CalibrationDataError: the folder has no list of samples, or a damaged one.
    """
    print(f"contact sheet: {contact_sheet(options.out)}")
    return 0


def _varied(samples: list[dict], count: int) -> list[dict]:
    """Choose screens that differ most in what they are: each next one has the properties least seen."""
    names = ("kind", "kit", "look", "dark", "keyboard", "language", "user_style")
    seen: Counter = Counter()
    left, chosen = list(samples), []
    while left and len(chosen) < count:
        best = min(left, key=lambda sample: sum(seen[(name, sample.get(name))] for name in names))
        left.remove(best)
        seen.update((name, best.get(name)) for name in names)
        chosen.append(best)
    return chosen


def _tile(path: Path) -> tuple[Image.Image, Image.Image]:
    """A scaled screen and the mask that rounds its corners, drawn four times as large to be smooth."""
    with Image.open(path) as image:
        height = round(TILE_WIDTH_PX * image.height / image.width)
        tile = image.convert("RGB").resize((TILE_WIDTH_PX, height), Image.Resampling.LANCZOS)
    mask = Image.new("L", (TILE_WIDTH_PX * 4, height * 4), 0)
    ImageDraw.Draw(mask).rounded_rectangle(
        (0, 0, TILE_WIDTH_PX * 4 - 1, height * 4 - 1), RADIUS_PX * 4, fill=255
    )
    return tile, mask.resize(tile.size, Image.Resampling.LANCZOS)


def read_samples(folder: Path) -> list[dict]:
    """All lines of a folder's samples.jsonl.

    Raises:
        CalibrationDataError: The file is missing or a line is not JSON.
    """
    path = folder / SAMPLES_FILE
    if not path.is_file():
        raise CalibrationDataError(f"{path} does not exist: give a folder that `render` has written")
    samples = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            samples.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise CalibrationDataError(f"{path}, line {number}: not JSON ({error.msg})") from error
    return samples


def contact_sheet(folder: Path) -> Path:
    """Write `contact_sheet.webp` of 24 varied screens into `folder`; returns its path."""
    chosen = _varied(read_samples(folder), COLUMNS * ROWS)
    tiles = [_tile(folder / sample["image"]) for sample in chosen]
    tile_height = max(tile.height for tile, _ in tiles)
    width = COLUMNS * (TILE_WIDTH_PX + GAP_PX) + GAP_PX
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGB", (width, rows * (tile_height + GAP_PX) + GAP_PX), BACKGROUND)
    for index, (tile, mask) in enumerate(tiles):
        row, column = divmod(index, COLUMNS)
        sheet.paste(
            tile, (GAP_PX + column * (TILE_WIDTH_PX + GAP_PX), GAP_PX + row * (tile_height + GAP_PX)), mask
        )
    path = folder / FILE_NAME
    write_atomically(path, lambda file: sheet.save(file, "WEBP", quality=QUALITY, method=6))
    return path
