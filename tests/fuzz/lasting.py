"""Campaigns of whole processes: kept weights, long use, killed exports, full disks, and the network."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from runtime import ScreenEncoder
from runtime.bundle import Bundle
from tests.fuzz.damage import damaged_bytes

ROOT = Path(__file__).parents[2]
OnTrial = Callable[[int, str], None]
"""Told of each trial: its number, and what went wrong; empty where all is well."""

_ENCODE = """
import sys
import numpy as np
from runtime import ScreenEncoder
encoder = ScreenEncoder.load(sys.argv[1], *sys.argv[3:], weight_cache=sys.argv[2])
print(encoder.encode(np.full((64, 32, 3), 99, np.uint8), "see you at").tobytes().hex())
"""


def weight_cache(bundle: Path, seed: int, count: int, on_trial: OnTrial) -> None:
    """Damages the file of packed weights in every way; every start computes the same bits."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "cache"
        expected = _encode(bundle, folder)
        [file] = folder.iterdir()
        sound, name = file.read_bytes(), file.name
        for number in range(count):
            chooser = random.Random(f"weight-cache/{seed}/{number}")
            way = chooser.choice(sorted(_CACHE_DAMAGE))
            shutil.rmtree(folder)
            folder.mkdir(mode=0o700)
            (folder / name).write_bytes(sound)
            _CACHE_DAMAGE[way](folder, folder / name, chooser)
            found = _encode_at_once(bundle, folder, 4) if way == "four starts" else {_encode(bundle, folder)}
            folder.chmod(0o700)
            on_trial(
                number,
                ""
                if found == {expected}
                else f"{way}: other bits, or no answer: {[answer[-300:] for answer in found]}",
            )


def _link_elsewhere(folder: Path, file: Path, chooser: random.Random) -> None:
    target = folder / "elsewhere"
    file.rename(target)
    target.write_bytes(damaged_bytes(target.read_bytes(), chooser))
    file.symlink_to(target)


def _replace_by_folder(folder: Path, file: Path, chooser: random.Random) -> None:
    file.unlink()
    file.mkdir()


_CACHE_DAMAGE: dict[str, Callable[[Path, Path, random.Random], None]] = {
    "damaged": lambda folder, file, chooser: file.write_bytes(damaged_bytes(file.read_bytes(), chooser)),
    "foreign": lambda folder, file, chooser: file.write_bytes(chooser.randbytes(file.stat().st_size)),
    "cut": lambda folder, file, chooser: os.truncate(file, chooser.randrange(file.stat().st_size)),
    "no permission": lambda folder, file, chooser: file.chmod(0),
    "read-only folder": lambda folder, file, chooser: folder.chmod(0o500),
    "another user's": lambda folder, file, chooser: (
        os.chown(file, 12345, 12345) if os.geteuid() == 0 else None
    ),
    "link": _link_elsewhere,
    "folder": _replace_by_folder,
    "pipe": lambda folder, file, chooser: (file.unlink(), os.mkfifo(file)),
    "four starts": lambda folder, file, chooser: file.unlink(),
}


def _encode(bundle: Path, folder: Path) -> str:
    return _answer(_start_encode(bundle, folder))


def _encode_at_once(bundle: Path, folder: Path, count: int) -> set[str]:
    return {_answer(process) for process in [_start_encode(bundle, folder) for _ in range(count)]}


def _start_encode(bundle: Path, folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", _ENCODE, str(bundle), str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _answer(process: subprocess.Popen) -> str:
    try:
        printed, said = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        return "no answer in 60 s"
    return (
        printed.strip()
        if (process.returncode, said) == (0, "")
        else f"exit {process.returncode}: {said[-300:]}"
    )


def endurance(bundle: Path, seed: int, count: int, on_trial: OnTrial) -> None:
    """Encodes `count` screens and as many keystrokes; after a tenth of them, private memory stays flat."""
    chooser = np.random.default_rng(seed)
    screens = [chooser.integers(0, 256, (96, 48, 3), dtype=np.uint8) for _ in range(8)]
    encoder = ScreenEncoder.load(bundle)
    expected = [encoder.encode(screen, "see") for screen in screens]
    before = 0
    for number in range(count):
        place = number % len(screens)
        same = np.array_equal(encoder.encode(screens[place], "see"), expected[place])
        encoder.encode_text(f"see you at {number}")
        if number == count // 10:
            before = private_bytes()
        on_trial(number, "" if same else "another embedding than the first time")
    grown = private_bytes() - before
    on_trial(count, "" if grown < 1_000_000 else f"private memory grew by {grown / 1e6:.1f} MB")


def private_bytes() -> int:
    """Private memory of this process, clean and dirty."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8")
    return 1024 * sum(map(int, re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+)", text, re.MULTILINE)))


def kills(bundle: Path, seed: int, count: int, on_trial: OnTrial) -> None:
    """Kills exports at random times; the bundle in place stays whole, and nothing lies beside it.

    Every other export finds its steps in the cache, and is killed while it writes the bundle. The last one is
    let alone and must succeed.
    """
    with tempfile.TemporaryDirectory() as work:
        out, random_weights = Path(work) / "bundle", Path(work) / "config.json"
        random_weights.write_text('{"backbone_pretrained": false, "fusion_heads": 4}')
        shutil.copytree(bundle, out)
        before = _hashes(out)
        for number in range(count):
            chooser = random.Random(f"kills/{seed}/{number}")
            cached = number % 2 == 0
            arguments = [] if cached else ["--config", str(random_weights), "--seed", str(number)]
            process = _export(out, Path(work) / "cache" if not cached else None, *arguments)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chooser.uniform(0, 6 if cached else 60))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            fault = "" if _hashes(out) == before else "the bundle changed"
            on_trial(number, fault or _left_behind(process.pid))
        process = _export(out, None, "--force")
        ended = process.wait()
        beside = sorted(
            path.name for path in Path(work).iterdir() if path.name not in ("bundle", "cache", "config.json")
        )
        on_trial(count, f"the last export ended with {ended}, beside it {beside}" if ended or beside else "")


def _export(out: Path, cache: Path | None, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "export", "balanced", "--out", str(out), *arguments]
    environment = os.environ | ({"POCKET_CACHE": str(cache)} if cache else {})
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _hashes(bundle: Path) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in Bundle.load(bundle, verify=True).files.items()}


def _left_behind(session: int) -> str:
    """Processes of a killed session that still run three seconds later."""
    for _ in range(30):
        alive = [path.name for path in Path("/proc").glob("[0-9]*") if _session(path) == session]
        if not alive:
            return ""
        time.sleep(0.1)
    return f"processes {', '.join(alive)} still run"


def _session(process: Path) -> int:
    with contextlib.suppress(OSError, IndexError, ValueError):
        state, *fields = (process / "stat").read_text().rpartition(")")[2].split()
        return -1 if state == "Z" else int(fields[2])
    return -1


def disk(bundle: Path, seed: int, count: int, on_trial: OnTrial) -> None:
    """Exports to a full disk and to a read-only one, and keeps weights there: one line, nothing half-written."""
    for number in range(count):
        chooser = random.Random(f"disk/{seed}/{number}")
        with _small_disk(chooser.randrange(1, 40) * 1_000_000) as mounted:
            full = number % 2 == 0
            if not full:
                subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
            process = subprocess.run(
                [sys.executable, "-m", "export", "balanced", "--out", str(mounted / "bundle")],
                cwd=ROOT, capture_output=True, text=True, check=False,
            )  # fmt: skip
            left = sorted(path.name for path in mounted.iterdir())
            said = process.stderr.startswith("error: ") and process.stderr.count("\n") == 1
            fault = "" if process.returncode in (1, 2) and said and not left else (
                f"exit {process.returncode}, left {left}, said {process.stderr[-300:]!r}"
            )  # fmt: skip
            if not fault and _encode(bundle, mounted / "weights") != _encode(bundle, Path("")):
                fault = "another embedding, or none, where no weights can be kept"
            on_trial(number, fault)


@contextlib.contextmanager
def _small_disk(size: int) -> Iterator[Path]:
    """A disk of so many bytes; needs root."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def network(bundle: Path, seed: int, count: int, on_trial: OnTrial) -> None:
    """Watches the system calls of encoding, for each engine: no socket of any network is made, and no file is
    left by an engine that would report to its makers.
    """
    for number, engine in enumerate(("tflite", "onnx") * count):
        with tempfile.TemporaryDirectory() as folder:
            calls = Path(folder) / "calls"
            command = ["strace", "-f", "-e", "trace=network", "-o", str(calls), sys.executable, "-c", _ENCODE]
            ended = subprocess.run(
                [*command, str(bundle), f"{folder}/weights", engine],
                cwd=ROOT, env=os.environ | {"TMPDIR": folder}, capture_output=True, text=True, check=False,
            )  # fmt: skip
            found = re.findall(r".*(?:AF_INET6?|AF_NETLINK|AF_PACKET).*", calls.read_text())
            fault = f"exit {ended.returncode}: {ended.stderr[-200:]}" if ended.returncode else ""
            left = sorted(
                path.name for path in Path(folder).iterdir() if path.name not in ("calls", "weights")
            )
            on_trial(number, fault or "; ".join([*found[:3], *left]))
