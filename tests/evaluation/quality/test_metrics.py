"""Every figure against an independent reference: SciPy, or the definition written out in loops."""

import numpy as np
import pytest
from scipy import stats

from evaluation.quality import metrics


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(5)


def test_spearman_with_and_without_ties(random):
    for one, other in (
        (random.normal(size=400), random.normal(size=400)),
        (random.integers(0, 9, 400), random.integers(0, 9, 400)),
        (np.arange(50.0), np.arange(50.0) ** 3),
        (np.arange(50.0), -np.arange(50.0)),
    ):
        ranks = [[np.mean(np.flatnonzero(np.sort(side) == value)) for value in side] for side in (one, other)]
        assert metrics.spearman(one, other) == pytest.approx(np.corrcoef(ranks)[0, 1], abs=1e-12)


def test_a_constant_side_correlates_with_nothing():
    assert metrics.spearman(np.ones(9), np.arange(9)) == 0


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(hits, total, low, high):
    """Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3."""
    figure = metrics.wilson(hits, total)
    assert figure.value == hits / total
    assert (figure.low, figure.high) == pytest.approx((low, high), abs=5e-5)


def test_bootstrap_is_the_percentile_interval_of_the_mean(random):
    values = random.random(300) < 0.7
    figure = metrics.bootstrap(values)
    reference = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=1
    ).confidence_interval
    assert figure.value == values.mean()
    assert (figure.low, figure.high) == pytest.approx((reference.low, reference.high), abs=0.01)
    assert metrics.bootstrap(values) == figure
    assert metrics.bootstrap(np.ones(9)) == (1, 1, 1)


@pytest.mark.parametrize("count", [1, 7, 200])
def test_tail_is_the_least_and_its_place_and_percentiles_between_sorted_values(random, count):
    values = random.normal(size=count)

    def between(share: float) -> float:
        ordered, place = sorted(values.tolist()), share * (count - 1)
        low = int(place)
        return ordered[low] + (place - low) * (ordered[min(low + 1, count - 1)] - ordered[low])

    found = metrics.tail(values)
    assert (found.n, found.worst, found.place) == (count, min(values), values.tolist().index(min(values)))
    assert (found.p1, found.p5) == (pytest.approx(between(0.01)), pytest.approx(between(0.05)))
    assert found.mean == pytest.approx(sum(values) / count)


def test_cosines_are_those_of_all_pairs(random):
    rows = random.normal(size=(30, 8)) + 1
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [float(unit[i] @ unit[j]) for i in range(30) for j in range(i + 1, 30)]
    np.testing.assert_allclose(metrics.pairwise_cosines(rows * 3), pairs, atol=1e-12)
