"""Runs the steps: two side by side, each once for the same inputs, with their tools' output kept aside."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from evaluation import arm64
from evaluation.sources import ROOT, sources_digest
from export import worker
from export.bundle import write_bundle
from export.request import Request, digest, tool_versions
from export.steps.table import STEPS, Step
from runtime.bundle import Bundle
from runtime.errors import FailedError
from runtime.files import forget_oldest
from runtime.manifest import MANIFEST, BundleError

CACHE = Path(os.environ.get("POCKET_CACHE") or ROOT / "build") / "export"
WORKERS = 2
LOG = CACHE / "tools.log"
"""What the steps' tools print."""
LOCK = CACHE.parent / "export.lock"
"""Lets one export at a time write to the cache and to bundles; a second one waits."""

EMULATOR = Step("emulator", "set up the ARM64 emulator", (), (), "evaluation.arm64:set_up_beside")
"""Not a cached step: mostly downloads, beside the others; seen only where there is something to set up."""

BUNDLE = Step("bundle", "write the bundle", (), (), "export.bundle:write_bundle")
"""Not a cached step: it comes after all others and writes to the bundle's place."""

OnStep = Callable[[Step, str], None]
"""Called with a step and its state: `cached`, `skipped`, `done`, or `started`, again under new titles."""


class StepError(FailedError):
    """A step failed; the message holds the cause, and the file with what its tools printed."""

    def __init__(self, step: Step, cause: BaseException, log: Path):
        super().__init__(f"step {step.name!r} failed: {cause}; what the tools printed: {log}")


def inputs_sha256(request: Request) -> str:
    """Returns one hash over all that decides an export: inputs, code and tools."""
    return digest(request.inputs(), step_sources_digest(*STEPS, BUNDLE), tool_versions())


def step_sources_digest(*steps: Step) -> str:
    """Returns one hash over the code of some steps, and of the worker that runs them."""
    return sources_digest(*(step.module for step in steps), worker.__name__)


def find_unchanged(
    request: Request, on_unusable: Callable[[str], None], *, emulate: bool = True
) -> dict[str, Any] | None:
    """Returns the manifest of the bundle in place, if the same inputs made it and its files are whole.

    Args:
        request: what is to be exported.
        on_unusable: called with the reason where a bundle is in place but is damaged or of an older form.
        emulate: whether figures of emulated phones must be in it, on a machine that can have them.
    """
    if not (request.out / MANIFEST).exists():
        return None
    try:
        bundle = Bundle.load(request.out, verify=True)
        bundle.require("weights", "parameters", "budgets")
    except BundleError as error:
        on_unusable(str(error))
        return None
    same = bundle.manifest.get("inputs_sha256") == inputs_sha256(request)
    complete = "arm64" in bundle.manifest or not emulate or arm64.obstacle()
    return bundle.manifest if same and complete else None


def export_bundle(
    request: Request, on_step: OnStep, *, force: bool = False, emulate: bool = True
) -> dict[str, Any]:
    """Exports a bundle.

    Args:
        request: checked inputs.
        on_step: told of every step.
        force: run every step again, even where its inputs did not change.
        emulate: run the shipped file on emulated phones, and set the emulator up for it where it can be.

    Returns:
        The manifest.

    Raises:
        StepError: a step failed; the bundle in place, if any, is as it was.
        ValueError: a step found an input that it cannot use.
    """
    with FileLock(LOCK):
        if force:
            shutil.rmtree(CACHE, ignore_errors=True)
        _sweep(request.out)
        folders = _folders(request)
        with _workers(request) as pool, _emulator(folders["arm64"], emulate, on_step) as emulator:
            _run_steps(pool, request, folders, on_step, STEPS, emulator)
            on_step(BUNDLE, "started")
            given = (request, folders, inputs_sha256(request), emulator.result())
            manifest = _result(BUNDLE, pool.submit(write_bundle, *given))
            on_step(BUNDLE, "done")
        _forget_old(folders)
        return manifest


def run_steps(request: Request, names: tuple[str, ...], on_step: OnStep) -> dict[str, Path]:
    """Runs some steps, and what they need, without writing a bundle; returns their folders in the cache.

    Raises:
        StepError: a step failed.
    """
    steps = {step.name: step for step in STEPS}
    wanted = list(names)
    for name in wanted:
        wanted += [need for need in steps[name].needs if need not in wanted]
    with FileLock(LOCK):
        folders = _folders(request)
        with _workers(request) as pool:
            _run_steps(pool, request, folders, on_step, [step for step in STEPS if step.name in wanted])
    return {name: folders[name] for name in wanted}


def _sweep(out: Path) -> None:
    """Removes what a killed export left behind; the lock makes sure that nobody is at work there."""
    for path in (*CACHE.glob("*.*"), *out.parent.glob(f".{out.name}.*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _folders(request: Request) -> dict[str, Path]:
    """Returns each step's folder in the cache, named by a hash of everything that decides what is in it."""
    inputs, tools = request.inputs(), tool_versions()
    keys: dict[str, str] = {}
    for step in STEPS:
        own = {name: inputs[name] for name in step.uses}
        keys[step.name] = digest(own, step_sources_digest(step), tools, [keys[need] for need in step.needs])
    return {name: CACHE / f"{name}-{key[:16]}" for name, key in keys.items()}


@contextlib.contextmanager
def _workers(request: Request) -> Iterator[ProcessPoolExecutor]:
    """Processes for the steps, started when needed; where one fails all end at once, and leave nothing."""
    CACHE.mkdir(parents=True, exist_ok=True)
    LOG.unlink(missing_ok=True)
    spawn = multiprocessing.get_context("spawn")
    arguments = (LOG, os.getpid())
    pool = ProcessPoolExecutor(WORKERS, mp_context=spawn, initializer=worker.start, initargs=arguments)
    try:
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.kill()  # a converter cannot be interrupted; its files are in a temporary folder
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        _sweep(request.out)


@contextlib.contextmanager
def _emulator(folder: Path, emulate: bool, on_step: OnStep) -> Iterator[Future[str]]:
    """Yields what becomes the reason why nothing is emulated; nothing where it is, or its folder is there."""
    if not emulate or folder.is_dir():
        known: Future[str] = Future()
        known.set_result("" if emulate else "--no-arm64")
        yield known
        return
    said: list[str] = []

    def say(what: str) -> None:
        said.append(what)
        on_step(replace(EMULATOR, title=f"{EMULATOR.title}: {what}"), "started")

    def end(future: Future[str]) -> None:
        if said and not future.exception():
            on_step(EMULATOR, "skipped" if future.result() else "done")

    with arm64.set_up_beside(say) as future:
        future.add_done_callback(end)
        yield future


def _run_steps(
    pool: ProcessPoolExecutor,
    request: Request,
    folders: dict[str, Path],
    on_step: OnStep,
    steps: Sequence[Step],
    emulator: Future[str] | None = None,
) -> None:
    """Runs what is not in the cache; the step `arm64` waits for what says whether there is an emulator."""
    waiting = [step for step in steps if not folders[step.name].is_dir()]
    for step in steps:
        if step not in waiting:
            on_step(step, "cached")
    running: dict[Future, Step] = {emulator: EMULATOR} if emulator else {}
    while waiting or running:
        _start_ready(pool, request, folders, waiting, running, on_step)
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            step = running.pop(future)
            found = _result(step, future)
            if step is not EMULATOR:
                on_step(step, "done")
            elif found:
                _skip(waiting, on_step)


def _skip(waiting: list[Step], on_step: OnStep) -> None:
    for step in [step for step in waiting if step.name == "arm64"]:
        waiting.remove(step)
        on_step(step, "skipped")


def _start_ready(pool, request, folders, waiting, running, on_step) -> None:
    setting_up = EMULATOR in running.values()
    for step in list(waiting):
        ready = all(folders[need].is_dir() for need in step.needs)
        ready = ready and not (setting_up and step.name == "arm64")
        if ready and len(running) - setting_up < WORKERS:
            waiting.remove(step)
            running[pool.submit(worker.run_step, step.run, request, folders, folders[step.name])] = step
            on_step(step, "started")


def _result(step: Step, future: Future) -> Any:
    error = future.exception()
    if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
        raise error  # bad input that only the step could see
    if error is not None:
        raise StepError(step, error, LOG) from error
    return future.result()


def _forget_old(folders: dict[str, Path]) -> None:
    """Keeps the cache small: of each step, the folder just used and the three newest others."""
    for name, used in folders.items():
        forget_oldest(set(CACHE.glob(f"{name}-*")) - {used}, keep=3)
