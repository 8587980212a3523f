"""Workers end with the export that started them, in whatever moment it is killed."""

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

from tests.conftest import ROOT

KILLED_AT_MANY_MOMENTS = """
import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

if __name__ == "__main__":
    from export import pipeline

    request = SimpleNamespace(out=Path("bundle").absolute())
    for moment in range(12):
        if os.fork() == 0:
            threading.Timer(moment * 0.03, os.kill, (os.getpid(), signal.SIGKILL)).start()
            with pipeline._workers(request) as pool:
                for _ in range(2):
                    pool.submit(time.sleep, 600)
                time.sleep(600)
        os.wait()
"""


def alive(mark: str) -> list[str]:
    """Command lines of the processes that have inherited a variable."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has just ended, or is not ours
    return found


def test_an_export_killed_in_its_first_moments_leaves_no_process(tmp_path):
    (tmp_path / "script.py").write_text(KILLED_AT_MANY_MOMENTS)
    mark = f"MARK={uuid.uuid4()}"
    name, _, value = mark.partition("=")
    environment = os.environ | {name: value, "POCKET_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "script.py"]
    with (tmp_path / "log").open("w") as log:
        run = subprocess.run(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    assert run.returncode == 0, (tmp_path / "log").read_text()
    end = time.monotonic() + 20
    while (left := alive(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not left
