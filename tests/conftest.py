"""What every test shares: one exported bundle a session, and tools that must not go missing in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from filelock import FileLock

import encoder  # noqa: F401 - before torch, which it tells where to keep its files

os.environ.setdefault(
    "OMP_WAIT_POLICY", "passive"
)  # many processes share the cores: a waiting thread is idle

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


MARK = "POCKET_TEST_SESSION"
"""Variable that every process inherits which a session of tests starts."""


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """After the last test no process that one started runs, and the folder for temporary files is empty."""
    tmp_path_factory.getbasetemp()  # pytest's own folder stays where it is
    mark, folder = uuid.uuid4().hex, tempfile.mkdtemp(prefix="t-")  # sockets in it need a short path
    os.environ |= {MARK: mark, "TMPDIR": folder}
    tempfile.tempdir = None  # read the variable again
    yield
    deadline = time.monotonic() + 10
    while (alive := _processes_with(mark)) and time.monotonic() < deadline:
        time.sleep(0.2)
    left = sorted(path.name for path in Path(folder).iterdir())
    shutil.rmtree(folder, ignore_errors=True)
    assert not alive, f"still running: {alive}"
    assert not left, f"left in the folder for temporary files: {left}"


def _processes_with(mark: str) -> list[str]:
    """Other processes that have the mark, by number and command."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            marked = f"{MARK}={mark}".encode() in (path / "environ").read_bytes().split(b"\0")
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if "multiprocessing.resource_tracker" in command:
                continue  # Python's own, which ends with the process that it belongs to
            if marked and command and int(path.name) != os.getpid():
                found.append(f"{path.name} {command[:100]}")
    return found


@pytest.fixture(scope="session", autouse=True)
def own_weight_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps packed weights out of the user's cache folder; processes that tests start inherit it."""
    os.environ["POCKET_WEIGHT_CACHE"] = str(tmp_path_factory.mktemp("weights"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files that need the default bundle last, but for the first of them: it makes the bundle meanwhile."""
    needing = list(dict.fromkeys(item.path for item in items if "bundle_dir" in item.fixturenames))
    items.sort(key=lambda item: item.path in needing[1:])
    items.sort(key=lambda item: item.path not in needing[:1])


@pytest.fixture(scope="session")
def emulator() -> None:
    """The ARM64 emulator, set up once for all processes of a session, where it can be."""
    (ROOT / "build").mkdir(exist_ok=True)
    with FileLock(ROOT / "build" / "emulator.lock"):
        result = _run_module("evaluation", "setup-arm64")
    if result.returncode != 0 and os.environ.get("POCKET_REQUIRE_ALL") == "1":
        pytest.fail(result.stderr, pytrace=False)


@pytest.fixture(scope="session")
def bundle_dir(emulator: None) -> Path:
    """The default bundle, exported as a user would.

    Where tests run in several processes the first one that asks makes it, and the others find it unchanged.
    """
    with FileLock(ROOT / "build" / "tests.lock"):
        result = _run_module("export", "balanced")
    assert result.returncode == 0, result.stdout + result.stderr
    return ROOT / "dist" / "balanced"


def _run_module(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
