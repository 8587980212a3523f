"""What every test shares: one exported bundle a session, and tools that must not go missing in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def require_tool(name: str) -> str:
    """Returns the path of a command-line tool; without it the test is skipped, or fails under POCKET_REQUIRE_ALL=1."""
    path = shutil.which(name)
    if path is None:
        missing(f"{name} is not installed")
    return path


def missing(reason: str) -> None:
    """Skips the calling test, or fails it where CI demands that everything is present."""
    if os.environ.get("POCKET_REQUIRE_ALL") == "1":
        pytest.fail(f"{reason}, and POCKET_REQUIRE_ALL=1 demands it", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def own_weight_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps packed weights out of the user's cache folder; processes that tests start inherit it."""
    os.environ["POCKET_WEIGHT_CACHE"] = str(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def bundle_dir() -> Path:
    """The default bundle, exported as a user would, with the emulator set up where it can be."""
    emulator = _run_module("export.arm64", "setup")
    if emulator.returncode != 0 and os.environ.get("POCKET_REQUIRE_ALL") == "1":
        pytest.fail(emulator.stderr, pytrace=False)
    result = _run_module("export", "balanced")
    assert result.returncode == 0, result.stdout + result.stderr
    return ROOT / "dist" / "balanced"


def _run_module(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
