"""Where everything is that the check makes: one folder, build/android."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from android_demo.check import ROOT

WORK = ROOT / "build" / "android"
LIB = WORK / "lib"  # what Maven fetched, as files
ASSETS = WORK / "assets"  # what goes into the app: the bundle and the sample screens
FIXTURES = WORK / "fixtures"  # inputs, with what the Python runtime makes of them
GENERATED = WORK / "gen"  # the resources' identifiers, as Java
TEST_RESOURCES = WORK / "test-resources"
TARGET = WORK / "target"  # Maven's
RESULTS = WORK / "results"  # figures that the tests leave
SCREENSHOTS = WORK / "screenshots"
LOGS = WORK / "logs"
LOCK = WORK / "lock"  # keeps a second check waiting until the first one is done

_BLOCK = 1 << 20


def digest(paths: Iterable[Path], *more: str) -> str:
    """SHA-256 of files (or of all files in folders) and of strings, names included."""
    sha = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                sha.update(str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file).encode())
                with file.open("rb") as stream:
                    while block := stream.read(_BLOCK):
                        sha.update(block)
    sha.update(json.dumps(more).encode())
    return sha.hexdigest()


def write_lines(path: Path, values: Iterable[Any]) -> None:
    """Writes values as JSON, one a line, in ASCII: lone surrogates too."""
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="ascii")
