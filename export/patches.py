"""Private parts of other libraries that the export touches: what, why, and for which version.

None changes a result; each saves a share of the time. A test compares the versions with those installed, so
that an upgrade looks at every one of them again, and checks that each still takes effect.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

VERSIONS = {"torch": "2.14.1", "litert-torch": "0.10.0", "onnxscript": "0.7.2"}
"""For which the patches below were written."""


def count_in_int32() -> None:
    """litert-torch: lets `arange` count in int32 from the start, where PyTorch would in int64.

    litert-torch does so itself, but at the end, and then traces the whole graph once more: a sixth of the
    time of an encoder that resizes its maps. The file is the same.
    """
    from litert_torch.fx_infra import decomp

    def arange(*bounds, dtype: torch.dtype | None = None, **options):
        if dtype in (None, torch.int64) and all(isinstance(bound, int) for bound in bounds):
            dtype = torch.int32
        start, end = bounds if len(bounds) == 2 else (0, *bounds)
        return torch.ops.aten.arange.start_step(start, end, 1, dtype=dtype, **options)

    for overload in (torch.ops.aten.arange.default, torch.ops.aten.arange.start):
        decomp.add_pre_lower_decomp(overload, arange)


def lazy_graphs() -> contextlib.AbstractContextManager:
    """torch.fx: writes a graph out as Python only once it is called.

    Some 150 passes of litert-torch each make a graph, few of which are ever run.
    """
    from torch.fx._lazy_graph_module import _use_lazy_graph_module

    return _use_lazy_graph_module(True)


@contextlib.contextmanager
def without_pair_rules() -> Iterator[None]:
    """onnxscript: leaves out its one rule for two nodes, for every node of which it searches all others.

    It makes a Split of two Slices, which no encoder has, and takes a quarter of a large one's time.
    """
    from onnxscript import rewriter

    rules = rewriter._DEFAULT_REWRITE_RULES
    rewriter._DEFAULT_REWRITE_RULES = tuple(rule for rule in rules if rule.name != "SlicesSplit")
    try:
        yield
    finally:
        rewriter._DEFAULT_REWRITE_RULES = rules
