"""Processes of other tools: which Python runs them, and what they said when they failed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_LONGEST = 160
_MODULE = re.compile(r"^(\w+\.)+(?=\w+:)")  # of an exception


def find_python(oldest: str, newest: str) -> str:
    """Returns the newest Python of this machine from one version to another, such as 3.11 to 3.12.

    Raises:
        LookupError: There is none; the message is one line.
    """
    finder = ["sh", str(ROOT / "tools" / "find_python.sh"), oldest, newest]
    free = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    found = subprocess.run(finder, env=free, capture_output=True, text=True, check=False)
    if found.returncode:
        raise LookupError(found.stderr.strip().removeprefix("error: "))
    return found.stdout.strip()


def python_of(environment: Path | None) -> str:
    """Returns the Python of a virtual environment; None = this one."""
    return sys.executable if environment is None else str(environment / "bin" / "python")


def quiet_environment() -> dict[str, str]:
    """Returns the environment of a tool: no accelerator, as on the machine that an export runs on."""
    quiet = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONDONTWRITEBYTECODE": "1"}
    return dict(os.environ) | quiet


def last_line(text: str, code: int) -> str:
    """Returns in one line why a process failed: the last line that it printed, or how it ended."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line.split(":")[0]]
    ended = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
    said = (errors or lines or [""])[-1] if code > 0 else (lines or [""])[-1]
    said = _MODULE.sub("", said).replace(f"{ROOT}/", "")
    said = said if len(said) <= _LONGEST else said[: _LONGEST - 3] + "..."
    return f"{ended}: {said}" if code < 0 and said else said or ended
