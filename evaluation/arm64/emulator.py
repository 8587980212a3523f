"""Runs model files on an emulated core: starts the target, follows its progress, reports crashes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluation.arm64.profiles import Profile
    from evaluation.arm64.toolchain import Toolchain

TARGET = Path(__file__).parents[2] / "evaluation/arm64/target"
_ENGINE_MODULES = {".tflite": "ai_edge_litert.interpreter", ".onnx": "onnxruntime"}
_FILE_TIMEOUT_S = 900  # of one model file; a hang is a failure like any other
_LAST_LINES = 4
_CHATTER = ("INFO:", "WARNING:", "Traceback", "  File ", "    ")

OnRun = Callable[[str], None]


@dataclass(frozen=True)
class TargetFile:
    """What to do with one model file.

    Attributes:
        path: the .tflite or .onnx.
        signatures: which to run, in this order; an .onnx has one, by any name.
        rows: rows of the input arrays to run.
        group: files of one group leave their outputs together; fuse takes the tokens of its group.
        samples: how many independent counts to take.
        operators: also count every operator (.tflite only).
        most_insns: of all rows together; rows beyond it are left out, evenly. 0 = all rows are run.
        fewest_rows: that are run all the same.
    """

    path: Path
    signatures: tuple[str, ...]
    rows: tuple[int, ...]
    group: str = ""
    samples: int = 1
    operators: bool = False
    most_insns: int = 0
    fewest_rows: int = 1

    @property
    def runs(self) -> int:
        """How many times the target reports progress for this file, if it leaves out no row."""
        composed = len(self.rows) * ("fuse" in self.signatures)
        return len(self.signatures) * (len(self.rows) + 1 + self.operators) + composed


@dataclass(frozen=True)
class Failure:
    """A model file that did not run.

    Attributes:
        file: its name.
        profile: on which core.
        reason: the signal or exit status.
        last_lines: the end of what it printed.
    """

    file: str
    profile: str
    reason: str
    last_lines: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        return asdict(self) | {"last_lines": list(self.last_lines)}


@dataclass(frozen=True)
class TargetRun:
    """What the target found.

    Attributes:
        counts: file name -> signature -> independent counts of instructions.
        operators: file name -> signature -> [operator, who ran it, instructions] in order.
        rows: file name -> which of its rows ran.
        outputs_dir: holds GROUP/SIGNATURE.TENSOR.npy, the rows' outputs [N, ...].
        failures: files that did not run; they are in none of the others.
    """

    counts: dict[str, dict[str, list[float]]]
    operators: dict[str, dict[str, list[list]]]
    rows: dict[str, tuple[int, ...]]
    outputs_dir: Path
    failures: tuple[Failure, ...]


def run_on_target(
    toolchain: Toolchain,
    profile: Profile,
    files: Sequence[TargetFile],
    inputs: Path,
    work_dir: Path,
    on_run: OnRun = lambda file: None,
) -> TargetRun:
    """Runs files on an emulated core.

    Args:
        inputs: .npz with every input tensor by name, [N, ...].
        work_dir: an empty folder for requests, logs and outputs.
        on_run: called with a file's name after each of its `runs`.
    """
    request = {
        "hidden_hwcap": profile.hidden_hwcap,
        "imports": ["numpy", *dict.fromkeys(_ENGINE_MODULES[file.path.suffix] for file in files)],
        "inputs": str(inputs.absolute()),
        "timeout_s": _FILE_TIMEOUT_S,
        "files": [_file_request(file, work_dir) for file in files],
    }
    (work_dir / "request.json").write_text(json.dumps(request))
    statuses, own_lines = _follow(toolchain, profile, work_dir, on_run)
    counts, operators, rows, failures = {}, {}, {}, []
    for file in files:
        name = file.path.name
        status = statuses.get(str(file.path.absolute()))
        if status == 0:
            result = json.loads((work_dir / f"{name}.json").read_text())
            counts[name], operators[name] = result["counts"], result["operators"]
            rows[name] = tuple(result["rows"])
        elif status is None:
            failures.append(Failure(name, profile.name, "the emulator itself stopped", own_lines))
        else:
            lines = _end_of((work_dir / f"{name}.log").read_text(errors="replace"))
            failures.append(Failure(name, profile.name, _describe(status), lines))
    return TargetRun(counts, operators, rows, _outputs_dir(work_dir), tuple(failures))


def _file_request(file: TargetFile, work_dir: Path) -> dict[str, Any]:
    base = work_dir / file.path.name
    paths = {"path": str(file.path.absolute()), "log": f"{base}.log", "result": f"{base}.json"}
    return asdict(file) | paths | {"outputs_dir": str(_outputs_dir(work_dir) / file.group)}


def _outputs_dir(work_dir: Path) -> Path:
    return work_dir / "outputs"


def _follow(
    toolchain: Toolchain, profile: Profile, work_dir: Path, on_run: OnRun
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Waits for the target; returns each file's wait status and the end of the target's own log."""
    command, environment = toolchain.command(
        profile, [str(TARGET / "main.py"), str(work_dir / "request.json")]
    )
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    statuses: dict[str, int] = {}
    log = work_dir / "target.log"
    with log.open("w") as stderr:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": stderr}
        process = subprocess.Popen(command, env=environment, text=True, start_new_session=True, **pipes)
        _RUNNING.add(process)
        try:
            for line in process.stdout:
                message = json.loads(line)
                if "finished" in message:
                    statuses[message["finished"]] = message["status"]
                else:
                    on_run(Path(message["ran"]).name)
            process.wait()
        finally:
            _stop(process)
            _RUNNING.discard(process)
    return statuses, _end_of(log.read_text(errors="replace"))


_RUNNING: set[subprocess.Popen] = set()
_stopping = threading.Lock()


def stop_all() -> None:
    """Ends every target that this process started, with its children."""
    with _stopping:
        for process in list(_RUNNING):
            _stop(process)


def _stop(process: subprocess.Popen) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _describe(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"exit status {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    if number == signal.SIGALRM:
        return f"no end after {_FILE_TIMEOUT_S} s"
    return f"killed by {signal.Signals(number).name} ({signal.strsignal(number)})"


def _end_of(text: str) -> tuple[str, ...]:
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith(_CHATTER)]
    return tuple(lines[-_LAST_LINES:])
