"""What happens in a worker of the pipeline: it is set up once, and does one step after the other."""

from __future__ import annotations

import gc
import importlib
import multiprocessing.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.files import whole_folder
from runtime.processes import end_with_parent

if TYPE_CHECKING:
    from export.request import Request


def start(log: Path, parent: int) -> None:
    """Sends what the tools print, from Python and from C++, to a file; ends when the export is killed."""
    end_with_parent(parent)
    gc.disable()  # it takes an eighth of a converter's time to find next to nothing
    multiprocessing.util.Finalize(None, os._exit, (0,), exitpriority=-1)  # an orderly end takes seconds
    multiprocessing.set_start_method("fork", force=True)  # its locks, as tqdm's, leave nothing when killed
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["OMP_NUM_THREADS"] = "1"  # PyTorch's sums depend on it; the processors have other steps to do
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def run_step(run: str, request: Request, folders: Mapping[str, Path], folder: Path) -> None:
    """Does a step; its folder appears when it is finished.

    Args:
        run: `module:function` of the step.
        request: what is exported.
        folders: of all steps, by name.
        folder: of this one.
    """
    module, _, function = run.partition(":")
    with whole_folder(folder) as scratch:
        getattr(importlib.import_module(module), function)(request, folders, scratch)
