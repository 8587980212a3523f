"""Draw a training set of thousands of screens; a run that was stopped goes on where it was."""

import errno
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Thread

from calibration_data import CalibrationDataError
from calibration_data.generator.render import IMAGES_FOLDER, SAMPLES_FILE, check_shot
from calibration_data.generator.tools import PAGES, prepare_tools
from runtime.bundle import REGION_NAMES
from runtime.files import write_atomically

JOURNAL_FILE = "drawn.jsonl"
SAMPLE_KEYS = (
    *("id", "split", "image", "text", "target", "target_group", "siblings", "caption", "user", "user_style"),
    *("kind", "view", "template", "kit", "look", "dark", "keyboard", "language", "text_source"),
    *("boxes", "width", "height"),
)
KIND_CAPTION = "kind_caption"
# More screens than this that cannot be drawn are a fault of the pages, not an accident.
FAILED_SHARE = 0.01


def spec_sha256(spec: dict) -> str:
    """The hash by which a screen that is already drawn is known again."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()


def dataset_sample(spec: dict, measured: dict) -> dict:
    """The line of samples.jsonl for one drawn screen of a training set."""
    values = {
        **spec,
        "image": f"{IMAGES_FOLDER}/{spec['id']}.webp",
        "text": spec["typed"],
        "boxes": {name: measured[name] for name in REGION_NAMES},
        "width": spec["width_css"] * spec["scale"],
        "height": spec["height_css"] * spec["scale"],
    }
    keys = (*SAMPLE_KEYS, KIND_CAPTION) if KIND_CAPTION in spec else SAMPLE_KEYS
    return {key: values[key] for key in keys}


def generate(
    specs: list[dict], out: Path, *, jobs: int = 2, on_screen: Callable[[int], None] = lambda done: None
) -> dict[str, str]:
    """Draw `specs` into `out`: screens/, samples.jsonl, and a journal of what is drawn.

    Args:
        specs: From `dataset.dataset_specs`. Screens that are there already, drawn from the same
            specification, are kept; the journal forgets the others at once, their images go at the end.
        out: The folder; made if missing.
        jobs: Pages drawn at the same time.
        on_screen: Called with how many more screens are there.

    Returns:
        Ids of screens that could not be drawn in two attempts and are left out, and why.

    Raises:
        CalibrationDataError: There are no specifications, a tool is missing, the disk is full, or more than
            1 % could not be drawn. What is drawn stays, and the next run goes on from there.
    """
    if not specs:
        raise CalibrationDataError("there is no screen to draw: ask for at least one of some split")
    tools = prepare_tools()
    (out / IMAGES_FOLDER).mkdir(parents=True, exist_ok=True)
    try:
        samples = _resume(specs, out)
        on_screen(len(samples))
        missing = sorted((spec for spec in specs if spec["id"] not in samples), key=_surface)
        failed: dict[str, str] = {}
        for _ in range(2):
            failed = _draw(missing, out, samples, jobs, tools, on_screen) if missing else {}
            missing = [spec for spec in missing if spec["id"] not in samples]
        if len(failed) > FAILED_SHARE * len(specs):
            name, reason = next(iter(failed.items()))
            raise CalibrationDataError(
                f"{len(failed)} of {len(specs)} screens could not be drawn, such as {name} ({reason})"
            )
        _publish([samples[spec["id"]] for spec in specs if spec["id"] in samples], out)
    except OSError as error:
        raise CalibrationDataError(_disk_trouble(error, out)) from error
    return failed


def _surface(spec: dict) -> tuple:
    """Screens of one document and size follow each other: chromium takes seconds to change the size."""
    return tuple(spec[name] for name in ("kit", "look", "dark", "direction", "width_css", "height_css", "id"))


def _resume(specs: list[dict], out: Path) -> dict[str, dict]:
    """The samples by id that an earlier run has drawn from the same specifications.

    The journal forgets everything else first: an image that is about to be drawn over must not be taken for
    the one that an old line tells of. A last line that was cut off does not count.
    """
    path = out / JOURNAL_FILE
    wanted = {spec_sha256(spec) for spec in specs}
    lines = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry["spec"] in wanted and (out / entry["sample"]["image"]).is_file():
            lines[line] = entry["sample"]
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())
    return {sample["id"]: sample for sample in lines.values()}


def _draw(
    specs: list[dict],
    out: Path,
    samples: dict[str, dict],
    jobs: int,
    tools: dict[str, Path],
    on_screen: Callable[[int], None],
) -> dict[str, str]:
    """One attempt at every screen; what succeeds is in `samples` and the journal at once.

    Returns:
        Why the others failed, by id.
    """
    by_id = {spec["id"]: spec for spec in specs}
    failed = {}
    with (out / JOURNAL_FILE).open("a", encoding="utf-8") as journal:
        for measured in _shots(specs, out / IMAGES_FOLDER, jobs, tools):
            spec = by_id[measured["id"]]
            try:
                _check(spec, measured)
            except CalibrationDataError as error:
                failed[spec["id"]] = str(error)
                continue
            sample = dataset_sample(spec, measured)
            entry = {"spec": spec_sha256(spec), "sample": sample}
            journal.write(json.dumps(entry, ensure_ascii=False) + "\n")
            journal.flush()
            samples[spec["id"]] = sample
            on_screen(1)
    return failed


def _check(spec: dict, measured: dict) -> None:
    """Raise OSError when the disk is full, CalibrationDataError when anything else is wrong."""
    error = measured.get("error")
    if error and "ENOSPC" in error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if error:
        raise CalibrationDataError(error)
    check_shot(spec, measured)


def _shots(specs: Iterable[dict], images: Path, jobs: int, tools: dict[str, Path]) -> Iterator[dict]:
    """Run the node driver; yields what it measured, in the order in which screens are finished."""
    command = [tools["node"], PAGES / "draw.mjs", tools["kits"], tools["chromium"], images, str(jobs)]
    with (
        tempfile.TemporaryFile("w+") as errors,
        # In a session of its own it outlives a run that is killed, notices, and removes the browser's files.
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        ) as driver,  # fmt: skip
    ):
        feeder = Thread(target=_feed, args=(driver, specs), daemon=True)
        feeder.start()
        try:
            for line in driver.stdout:
                yield json.loads(line)
        finally:
            driver.stdout.close()  # where there is more to come, the driver notices and stops
        feeder.join()
        if driver.wait():
            errors.seek(0)
            reason = errors.read().strip().splitlines()[-1:] or ["no reason given"]
            raise CalibrationDataError(f"the page renderer stopped: {reason[0]}")


def _feed(driver: subprocess.Popen, specs: Iterable[dict]) -> None:
    try:
        with driver.stdin:
            for spec in specs:
                driver.stdin.write(json.dumps(spec) + "\n")
    except (BrokenPipeError, ValueError):
        return  # the driver has stopped; whoever reads from it says why


def _publish(samples: list[dict], out: Path) -> None:
    kept = {sample["image"] for sample in samples}
    for image in (out / IMAGES_FOLDER).iterdir():
        if f"{IMAGES_FOLDER}/{image.name}" not in kept:
            image.unlink()
    lines = "".join(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples)
    write_atomically(out / SAMPLES_FILE, lines.encode())


def _disk_trouble(error: OSError, out: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"{out}: the disk is full; make room and run the same command again, it goes on from here"
    return f"{out}: {error}"
