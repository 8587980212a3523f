"""Runs one baseline's export in a process of its own: converters crash, leak, or need other packages.

Started as `python -m benchmarks.baselines.worker REQUEST.json RESULT.json`, by the environment's own Python.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.baselines.job import Job
from runtime.processes import end_with_parent


def main(request_file: str, result_file: str) -> None:
    """Exports, and writes the files by part, the seconds that it took and the versions of the tools."""
    request = json.loads(Path(request_file).read_text())
    end_with_parent(request["parent"])
    begin = time.perf_counter()
    module = importlib.import_module(request["module"])
    files = module.export(Job.from_dict(request["job"]))
    result = {
        "files": {part: path.name for part, path in files.items()},
        "seconds": time.perf_counter() - begin,
        "versions": {name: version(name) for name in request["packages"]},
    }
    Path(result_file).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
