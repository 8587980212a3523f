"""Does steps of an export in turn, and tells what they opened of the project's files, and asked of the request.

`python -m tests.export.audit_steps WORK [CONFIG]` prints JSON: step -> {"opened": [path], "asked": [attribute]}.
With a config it does all steps up to the parity of its files; without one those after it, for the preset
`balanced`, with what its export left in the cache.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pickle
import sys
from pathlib import Path

from evaluation.sources import PACKAGES, ROOT
from export import pipeline
from export.request import read_request
from export.steps.table import STEPS, Step

_opened: set[str] | None = None


class Asked:
    """A request that remembers what it was asked for."""

    def __init__(self, request) -> None:
        self._request, self.names = request, set()

    def __getattr__(self, name: str):
        self.names.add(name)
        return getattr(self._request, name)


def main(work: str, config: str | None = None) -> None:
    """Does the steps, each in a folder of `work`."""
    out = {step.name: Path(work) / step.name for step in STEPS}
    if config:
        request = read_request("audit", config_file=Path(config), out=Path(work) / "bundle")
        folders, steps = out, [step for step in STEPS if not _measures(step)]
    else:
        request = read_request("balanced")
        folders, steps = pipeline._folders(request), [step for step in STEPS if _measures(step)]
    sys.addaudithook(_remember)
    pickled = pickle.dumps(request)
    print(json.dumps({step.name: _audit(step, pickled, folders, out[step.name]) for step in steps}))


def _measures(step: Step) -> bool:
    """Whether a step takes what it does from results that an export before has kept."""
    return step.module in ("export.steps.quality", "export.steps.arm64")


def _audit(step: Step, pickled: bytes, folders: dict[str, Path], out: Path) -> dict[str, list[str]]:
    global _opened
    for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
        del sys.modules[name]  # as in a worker that has done no other step
    found = _opened = set()
    module, _, function = step.run.partition(":")
    run = getattr(importlib.import_module(module), function)
    _opened = None  # the request's own modules are no part of the step
    asked = Asked(pickle.loads(pickled))
    _opened = found
    out.mkdir()
    run(asked, folders, out)
    _opened = None
    return {"opened": sorted(found), "asked": sorted(asked.names)}


def _remember(event: str, arguments: tuple) -> None:
    if _opened is None or event != "open" or not isinstance(arguments[0], str | os.PathLike):
        return
    path = Path(os.path.realpath(arguments[0]))
    if path.suffix == ".pyc":
        path = Path(importlib.util.source_from_cache(path))
    ours = any(path.is_relative_to(ROOT / package) for package in PACKAGES)
    if ours and path.is_file() and path != Path(__file__):  # which a warning's text may quote
        _opened.add(path.relative_to(ROOT).as_posix())


if __name__ == "__main__":
    main(*sys.argv[1:])
