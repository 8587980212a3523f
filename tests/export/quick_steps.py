"""Steps that take no time, in place of an export's own, and the committed toy bundle in place of what they make.

The real command, pipeline and workers run them: `conftest.py` starts it. A variable says what befalls which step.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

from evaluation.budgets import latency_budget
from export.steps.table import Step
from runtime.files import whole_folder
from runtime.manifest import read_manifest, write_manifest

TINY = Path(__file__).parents[1] / "data" / "tiny_bundle"
NEEDS = {"first": (), "second": (), "both": ("first", "second"), "arm64": ("both",)}
STEPS = tuple(Step(name, f"do {name}", needs, ("seed",), f"{__name__}:do") for name, needs in NEEDS.items())
RAN, BEFALLS = "QUICK_RAN", "QUICK_BEFALLS"
"""Variables: a file that gets the name of every step that begins, and JSON of a key of `_BEFALLS` by step."""


def do(request, folders, out: Path) -> None:
    """Does the step that the folder is named after: writes what it was given, and the seed."""
    name = out.name.strip(".").partition("-")[0]
    given = [(folders[need] / "made").read_text() for need in NEEDS[name]]
    (out / "made").write_text(f"{name}({', '.join([*given, str(request.seed)])})")
    _begin(name, out)


def write_bundle(request, folders, inputs_sha256: str, not_emulated: str = "") -> dict:
    """Writes the toy bundle, with what the steps have made and why nothing was emulated."""
    with whole_folder(request.out) as staging:
        shutil.copytree(TINY, staging, dirs_exist_ok=True)
        _begin("bundle", staging)
        latency = latency_budget(None if not_emulated else 1.0, "phone", reason=not_emulated)
        own = {"made": (folders["both"] / "made").read_text(), "inputs_sha256": inputs_sha256}
        own |= {"budgets": [latency.to_dict()], "parameters": {"total": 1}}
        own |= {} if not_emulated else {"arm64": (folders["arm64"] / "made").read_text()}
        return write_manifest(staging, read_manifest(TINY) | own)


def _begin(name: str, folder: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as within a converter, which no interrupt reaches
    with open(os.environ[RAN], "a") as ran:
        ran.write(f"{name}\n")
    how = json.loads(os.environ[BEFALLS]).get(name)
    if how:
        _BEFALLS[how](folder)


def _meet(folder: Path) -> None:
    deadline = time.monotonic() + 30
    while {"first", "second"} - set(Path(os.environ[RAN]).read_text().split()):
        if time.monotonic() > deadline:
            raise RuntimeError("is alone")
        time.sleep(0.01)


def _fail(folder: Path) -> None:
    os.write(1, b"printed by a tool\n")
    raise RuntimeError("no kernel for Frobnicate")


def _refuse(folder: Path) -> None:
    raise ValueError("screens: all alike")


def _fill_disk(folder: Path) -> None:
    (folder / "full").symlink_to("/dev/full")
    (folder / "full").write_text("x")


_BEFALLS = {
    "waits": lambda folder: time.sleep(600),
    "takes a second": lambda folder: time.sleep(1),
    "meets the other": _meet,
    "fails": _fail,
    "refuses": _refuse,
    "fills the disk": _fill_disk,
    "is killed": lambda folder: os.kill(os.getpid(), signal.SIGKILL),  # as where no memory is left
}
