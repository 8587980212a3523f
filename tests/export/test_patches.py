"""Patches of other libraries: written for what is installed, and each takes effect and ends where it should."""

from importlib.metadata import version

import pytest
import torch
from onnxscript import rewriter

from export import patches


@pytest.mark.parametrize("name", patches.VERSIONS)
def test_they_are_of_the_installed_versions(name):
    assert version(name) == patches.VERSIONS[name], (
        "see whether the patch is needed, and fits, in the new version"
    )


def test_arange_counts_in_int32():
    from litert_torch.fx_infra import decomp

    patches.count_in_int32()
    table = decomp.pre_lower_decomp()
    for overload, bounds in ((torch.ops.aten.arange.default, (4,)), (torch.ops.aten.arange.start, (1, 4))):
        found = table[overload](*bounds)
        assert found.dtype == torch.int32 and found.tolist() == list(range(*bounds))
        assert overload(*bounds).dtype == torch.int64  # PyTorch's own: else the patch can go


def test_graphs_are_lazy_within():
    from torch.fx._lazy_graph_module import _LazyGraphModule, _make_graph_module

    graph = torch.fx.symbolic_trace(torch.nn.ReLU()).graph

    def lazily() -> bool:
        return isinstance(_make_graph_module(torch.nn.Module(), graph), _LazyGraphModule)

    assert not lazily()
    with patches.lazy_graphs():
        assert lazily()
    assert not lazily()


def test_the_rule_for_two_slices_is_left_out_within():
    names = [rule.name for rule in rewriter._DEFAULT_REWRITE_RULES]
    assert "SlicesSplit" in names  # else the patch can go
    with patches.without_pair_rules():
        assert [rule.name for rule in rewriter._DEFAULT_REWRITE_RULES] == [
            n for n in names if n != "SlicesSplit"
        ]
    assert [rule.name for rule in rewriter._DEFAULT_REWRITE_RULES] == names
