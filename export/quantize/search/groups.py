"""Layers that change their precision together, such as the attention of one transformer layer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from export.quantize.layers import short_name
from export.quantize.recipe import Rule, TfliteRecipe

_UNITS = (
    r".*\.transformer\.\d+\.(?:attn|mlp)",
    r".*\.conv_(?:kxk|1x1|proj|fusion)",
    r".*\.stages?_\d+\.\d+",
    r".*\.(?:stem|final_conv|conv_head)",
    r"(?:global_view|regions|user|fusion\.\w+)",
    r"text\.\d+\.(?:mixed|output)(?=\.|$)",
    r"text\.\w+",
    r".*\.\d+(?=\.)",
)
"""What makes a group, by the layers' short names; the first that fits counts. Other layers stand alone."""


@dataclass(frozen=True)
class Group:
    """Layers of one unit.

    Attributes:
        signature: that they belong to.
        name: of the unit.
        layers: the full names of its layers, as a recipe's expressions see them.
        operators: their kinds.
    """

    signature: str
    name: str
    layers: tuple[str, ...]
    operators: tuple[str, ...]

    @property
    def precisions(self) -> tuple[str, ...]:
        """What the unit can be computed in instead; ranges found at each run help linear layers alone."""
        return ("float", "dynamic_int8") if self.operators == ("FULLY_CONNECTED",) else ("float",)

    def rule(self, precision: str) -> Rule:
        """A recipe's rule that gives the unit another precision."""
        exact = "|".join(re.escape(layer) for layer in self.layers)
        return Rule(f"^(?:{exact})$", self.operators, precision)


def integer_groups(recipe: TfliteRecipe, operators: Iterable[tuple[str, str, str]]) -> list[Group]:
    """Groups the operators that a recipe computes in integers.

    Args:
        recipe: the quantization recipe.
        operators: (signature, kind, layer) of every operator of the float file.

    Returns:
        The groups in the file's order.
    """
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for part, kind, layer in operators:
        if _precision(recipe, kind, layer) in ("static_int8", "dynamic_int8"):
            unit = found.setdefault((part, unit_of(short_name(layer))), {"layers": [], "operators": []})
            unit["layers"].append(layer)
            unit["operators"].append(kind)
    return [
        Group(part, name, tuple(dict.fromkeys(unit["layers"])), tuple(sorted(set(unit["operators"]))))
        for (part, name), unit in found.items()
    ]


def unit_of(layer: str) -> str:
    """The unit that a layer's short name belongs to, without the path that all units share."""
    for pattern in _UNITS:
        match = re.match(pattern, layer)
        if match:
            return match[0].removeprefix("backbone.features.")
    return layer


def _precision(recipe: TfliteRecipe, kind: str, layer: str) -> str:
    matching = [rule for rule in recipe.rules if kind in rule.operators and re.search(rule.layers, layer)]
    return matching[-1].precision if matching else "float"
