"""Private memory that loading the shipped file and running it adds to a process, measured on this host."""

from __future__ import annotations

from evaluation.arm64.report import SHIPPED
from evaluation.budgets import memory_budget
from evaluation.verdict import Verdict
from runtime.bench import measure_memory
from runtime.bundle import Bundle
from runtime.engines import EngineError


def memory_verdict(bundle: Bundle, *, first_start: bool = True) -> Verdict:
    """Measures the shipped file in fresh processes and judges it; a file that does not run has no value.

    Args:
        first_start: tell that of the first start too, which repeats less well.
    """
    try:
        found = measure_memory(bundle, *SHIPPED)
    except EngineError as error:
        return memory_budget(None, f"not measured: {error}")
    return memory_budget(found.private_bytes, found.how, found.first_start_bytes if first_start else None)
