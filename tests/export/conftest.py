"""Exports whose steps take no time."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from runtime.bundle import Bundle
from tests.conftest import ROOT
from tests.export.quick_steps import BEFALLS, RAN, TINY

COMMAND = """
import sys
from export import pipeline
from export.__main__ import main
from tests.export import quick_steps
pipeline.STEPS, pipeline.write_bundle = quick_steps.STEPS, quick_steps.write_bundle
sys.exit(main(["balanced", *sys.argv[1:]]))
"""


class QuickExports:
    """Exports into one folder, with a cache of its own.

    Attributes:
        out: the bundle's folder; nothing else is beside it.
        cache: of the steps.
    """

    def __init__(self, folder: Path):
        self.out, self.cache, self._ran = folder / "bundles" / "quick", folder / "cache", folder / "ran"

    def start(self, *options: str, befalls: Mapping[str, str] | None = None, **environment: str):
        """Starts one, in a process group of its own as a shell does."""
        own = {"POCKET_CACHE": str(self.cache), RAN: str(self._ran), BEFALLS: json.dumps(befalls or {})}
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, "--out", str(self.out), *options],
            cwd=ROOT, env=os.environ | own | environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *options: str, **given) -> tuple[int, str, str]:
        """Runs one to its end; returns the exit status, what it printed as one line, and its errors."""
        process = self.start(*options, **given)
        printed, error = process.communicate(timeout=60)
        return process.returncode, " ".join(printed.split()), error

    def ran(self) -> list[str]:
        """The steps that have begun since this was last asked for."""
        lines = self._ran.read_text().split() if self._ran.exists() else []
        self._ran.unlink(missing_ok=True)
        return lines

    def wait_for(self, step: str) -> None:
        """Returns once a step has begun."""
        deadline = time.monotonic() + 60
        while not (self._ran.exists() and step in self._ran.read_text().split()):
            assert time.monotonic() < deadline, f"{step} does not begin"
            time.sleep(0.01)

    def made(self) -> str:
        """What the steps of the bundle in place have made; empty for the toy bundle itself."""
        return Bundle.load(self.out, verify=True).manifest.get("made", "")

    def left_behind(self) -> list[str]:
        """Folders beside the bundle, and of unfinished steps in the cache."""
        beside = [path for path in self.out.parent.iterdir() if path != self.out]
        unfinished = [path for path in (self.cache / "export").glob("*.*") if path.is_dir()]
        return sorted(path.name for path in (*beside, *unfinished))


@pytest.fixture
def exports(tmp_path) -> QuickExports:
    """Exports to where the toy bundle is in place."""
    quick = QuickExports(tmp_path)
    shutil.copytree(TINY, quick.out)
    return quick
