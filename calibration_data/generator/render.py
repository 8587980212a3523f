"""Draw planned screens with chromium and write them as a calibration folder."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from calibration_data import CalibrationDataError
from calibration_data.generator.tools import PAGES, prepare_tools
from runtime.bundle import REGION_NAMES

WEBP_QUALITY = 84
WEBP_METHOD = 6
SAMPLES_FILE, IMAGES_FOLDER = "samples.jsonl", "screens"
WORK_PREFIX = ".rendering."


def encode_webp(png: Path, webp: Path) -> tuple[int, int]:
    """Encode a screenshot as lossy WebP, always to the same bytes; returns (width, height) in pixels."""
    with Image.open(png) as image:
        image.convert("RGB").save(webp, "WEBP", quality=WEBP_QUALITY, method=WEBP_METHOD)
        return image.size


def sample_line(spec: dict, measured: dict, size: tuple[int, int]) -> dict:
    """The line of samples.jsonl for one rendered screen."""
    keys = ("id", "split", "user", "user_style", "kind", "kit", "look", "dark", "keyboard", "language")
    sample = {key: spec[key] for key in keys}
    sample |= {"image": f"{IMAGES_FOLDER}/{spec['id']}.webp", "text": spec["typed"]}
    sample |= {"boxes": {name: measured[name] for name in REGION_NAMES}, "width": size[0], "height": size[1]}
    order = (
        "id",
        "split",
        "image",
        "text",
        "user",
        "user_style",
        "kind",
        "kit",
        "look",
        "dark",
        "keyboard",
        "language",
        "boxes",
        "width",
        "height",
    )
    return {key: sample[key] for key in order}


def check_shot(spec: dict, measured: dict) -> None:
    """The field on the screen must hold what the sample says was typed."""
    if spec["typed"] and not (measured["value"] or "").endswith(spec["typed"]):
        raise CalibrationDataError(
            f"{spec['id']}: the page shows {measured['value']!r} where {spec['typed']!r} was typed"
        )


def _shots(specs: list[dict], work: Path, jobs: int, tools: dict[str, Path]) -> Iterator[tuple[dict, dict]]:
    """Run the node driver; yields (spec, measured) in the order in which screens are finished."""
    command = [
        tools["node"],
        PAGES / "render.mjs",
        tools["kits"],
        tools["chromium"],
        work / "specs.json",
        work,
        str(jobs),
    ]
    (work / "specs.json").write_text(json.dumps(specs), encoding="utf-8")
    by_id = {spec["id"]: spec for spec in specs}
    with (
        (work / "errors.txt").open("w+") as errors,
        # In a session of its own it outlives a run that is killed, notices, and removes the browser's files.
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        ) as driver,
    ):
        for line in driver.stdout:
            measured = json.loads(line)
            yield by_id[measured["id"]], measured
        driver.wait()
        errors.seek(0)
        if driver.returncode:
            raise CalibrationDataError(
                f"the page renderer stopped: {errors.read().strip().splitlines()[-1:] or 'no reason given'}"
            )


def render(
    specs: list[dict], out: Path, *, jobs: int = 2, on_screen: Callable[[str], None] = lambda _: None
) -> list[dict]:
    """Render `specs` into `out`: its images and samples.jsonl are replaced as a whole, other files stay.

    Args:
        specs: Specifications from `content.build_specs`.
        out: The folder; made if missing.
        jobs: Pages drawn at the same time.
        on_screen: Called with each finished screen's id.

    Returns:
        The samples, in the order of `specs`.

    Raises:
        CalibrationDataError: A tool or a font is missing, or a page could not be drawn; `out` is unchanged.
    """
    tools = prepare_tools()
    fresh_folder = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=out))
    try:
        samples = _render_into(work, specs, jobs, tools, on_screen)
        _publish(work, out)
        return samples
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if fresh_folder and not any(out.iterdir()):
            out.rmdir()


def _render_into(
    work: Path, specs: list[dict], jobs: int, tools: dict[str, Path], on_screen: Callable[[str], None]
) -> list[dict]:
    """Draw and encode every screen below `work`, and write the list of samples there."""
    (work / IMAGES_FOLDER).mkdir()
    finished: dict[str, tuple[dict, Future]] = {}
    with ThreadPoolExecutor(jobs) as encoders:
        for spec, measured in _shots(specs, work, jobs, tools):
            check_shot(spec, measured)
            target = work / IMAGES_FOLDER / f"{spec['id']}.webp"
            finished[spec["id"]] = (measured, encoders.submit(encode_webp, Path(measured["image"]), target))
            on_screen(spec["id"])
    samples = [sample_line(spec, finished[spec["id"]][0], finished[spec["id"]][1].result()) for spec in specs]
    lines = "".join(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples)
    (work / SAMPLES_FILE).write_text(lines, encoding="utf-8")
    return samples


def _publish(work: Path, out: Path) -> None:
    """Move the finished folder and list into place; the old images stay should that fail."""
    images, old = out / IMAGES_FOLDER, work / "old"
    if images.exists():
        images.rename(old)
    try:
        (work / IMAGES_FOLDER).rename(images)
    except OSError:
        if old.exists():
            old.rename(images)
        raise
    os.replace(work / SAMPLES_FILE, out / SAMPLES_FILE)
