"""Confidence intervals, correlation and low ends, float64.

The bootstrap is our own: all resamples are one seeded matrix, which gives a figure's interval in one product.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import scipy  # scipy.stats loads at its first use: it takes a second, and most commands do without

from runtime.metrics import normalized

CONFIDENCE = 0.95
_RESAMPLES = 2000


class Figure(NamedTuple):
    """A value and its 95 % confidence interval."""

    value: float
    low: float
    high: float


def bootstrap(values: np.ndarray) -> Figure:
    """The mean, and the percentile interval of the means of seeded resamples.

    Args:
        values: [N], a figure of each sample.
    """
    values = np.asarray(values, np.float64)
    means = _resamples(len(values)) @ values / len(values)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Figure(float(values.mean()), float(low), float(high))


@functools.lru_cache(maxsize=4)
def _resamples(count: int) -> np.ndarray:
    """How often each resample draws each of `count` samples, float64 [_RESAMPLES, count]."""
    random = np.random.default_rng(0)
    return random.multinomial(count, np.full(count, 1 / count), _RESAMPLES).astype(np.float64)


def wilson(hits: int, total: int) -> Figure:
    """A share of hits with Wilson's score interval, which stays sound near 0 and 1."""
    interval = scipy.stats.binomtest(hits, total).proportion_ci(CONFIDENCE, method="wilson")
    return Figure(hits / total, float(interval.low), float(interval.high))


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation, ties averaged; 0 where one side is constant.

    Args:
        one, other: [N] each.
    """
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(scipy.stats.spearmanr(one, other).statistic)


def pairwise_cosines(rows: np.ndarray) -> np.ndarray:
    """Cosines of all pairs of different rows.

    Args:
        rows: [N, D].

    Returns:
        float64 [N * (N - 1) / 2].
    """
    unit = normalized(rows)
    return (unit @ unit.T)[np.triu_indices(len(unit), 1)]


class Tail(NamedTuple):
    """The low end of `n` values, and their mean: the least, its place, and two percentiles.

    Percentiles are numpy's default: linear between the two nearest values.
    """

    n: int
    worst: float
    place: int
    p1: float
    p5: float
    mean: float


def tail(values: np.ndarray) -> Tail:
    """Sums values up by their low end.

    Args:
        values: [N], N > 0.
    """
    place = int(np.argmin(values))
    p1, p5 = np.percentile(values, [1, 5])
    return Tail(len(values), float(values[place]), place, float(p1), float(p5), float(np.mean(values)))
