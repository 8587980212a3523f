"""Expressions over layers' names, checked as they are read: none fails, or takes ages, when it is used."""

from __future__ import annotations

import math
import re
import warnings
from re import _parser  # the tree that `re` compiles; there is no public way to it
from typing import Any

from runtime.json_text import quoted

LONGEST_NAME = 2000
"""Of a layer, in characters; the longest of the committed presets has 1,365."""
MOST_WAYS = 10_000_000
"""In which an expression may match such a name from one place on: two `.*` have 4 million."""


def problem(pattern: str) -> str | None:
    """Says what is wrong with an expression; None where it can be used.

    `re` tries one way of matching after another, so the time that it takes is bound by their number. That
    multiplies with each part that can match in several ways, and is a power where such a part is repeated.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what it warns of, it will read otherwise one day
            re.compile(pattern)
        log_ways = _log_ways(_parser.parse(pattern))
    except (re.error, RecursionError, OverflowError, Warning) as error:
        return f"is not a regular expression: {quoted(str(error), plain=True)}"
    if log_ways > math.log(MOST_WAYS):
        return f"matches in over {MOST_WAYS:,} ways: use fewer of *, +, ? and |, and none within a repeat"
    return None


def _log_ways(parts: Any) -> float:
    """Logarithm of an upper bound of the ways in which a sequence of parsed parts can match."""
    return sum(_log_ways_of(str(kind), value) for kind, value in parts)


def _log_ways_of(kind: str, value: Any) -> float:
    if kind == "BRANCH":
        return _log_sum(map(_log_ways, value[1]))
    if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, most, part = value[0], min(int(value[1]), LONGEST_NAME), value[2]
        return most * _log_ways(part) + math.log(max(most - least, 0) + 1)
    if kind == "GROUPREF_EXISTS":
        return _log_sum(_log_ways(part or ()) for part in value[1:])
    if kind in ("SUBPATTERN", "ASSERT", "ASSERT_NOT"):
        return _log_ways(value[-1])
    return _log_ways(value) if kind == "ATOMIC_GROUP" else 0.0


def _log_sum(logs: Any) -> float:
    logs = list(logs)
    most = max(logs)
    return most + math.log(sum(math.exp(log - most) for log in logs))
