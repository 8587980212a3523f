"""Metrics against values worked out by hand."""

import numpy as np
import pytest

from runtime import metrics


def test_max_abs_is_the_largest_difference_of_any_element():
    assert metrics.max_abs(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 2.5], [3.0, 1.0]])) == 3.0


def test_cosine_of_each_row():
    values, golden = (
        np.array([[1.0, 0.0], [1.0, 1.0], [-2.0, 0.0]]),
        np.array([[1.0, 0.0], [1.0, 0.0], [3.0, 0.0]]),
    )
    assert metrics.cosine(values, golden) == pytest.approx([1.0, 0.5**0.5, -1.0])


def test_cosine_flattens_what_follows_the_samples():
    values = np.arange(1.0, 13.0).reshape(2, 2, 3)
    assert metrics.cosine(values, values * 2) == pytest.approx([1.0, 1.0])


def test_cosine_of_zero_rows_is_defined():
    zero, one = np.zeros((1, 2)), np.ones((1, 2))
    assert metrics.cosine(zero, zero) == [1.0]
    assert metrics.cosine(zero, one) == [0.0]


def test_mean_centred_cosine_sees_what_plain_cosine_hides():
    golden = np.array([[100.0, 1.0, 0.0], [100.0, -1.0, 0.0]])
    swapped = golden[::-1]
    assert metrics.cosine(swapped, golden).min() > 0.999
    assert metrics.mean_centred_cosine(swapped, golden) == pytest.approx([-1.0, -1.0])


def test_self_retrieval_counts_rows_nearest_to_their_own():
    golden = np.eye(4)
    assert metrics.self_retrieval(golden, golden) == 1.0
    assert metrics.self_retrieval(golden[[1, 0, 2, 3]], golden) == 0.5


def test_self_retrieval_takes_a_tie_of_equal_golden_rows_as_found():
    golden = np.array([[0.1, 0.7], [0.1, 0.7], [0.5, 0.3]], np.float32)
    assert metrics.self_retrieval(golden, golden) == 1.0


def test_a_value_that_is_not_a_number_stays_visible():
    values = np.array([[np.nan, 1.0], [1.0, 0.0]])
    assert np.isnan(metrics.max_abs(values, np.eye(2)))
    assert np.isnan(metrics.cosine(values, np.eye(2))[0])


@pytest.mark.parametrize("values", [np.zeros((2, 3)), np.zeros((0, 2)), np.zeros(2)])
def test_other_shapes_are_refused(values):
    golden = np.zeros((2, 2)) if values.ndim == 2 and len(values) else values
    with pytest.raises(ValueError, match="one shape"):
        metrics.cosine(values, golden)


def test_right_ranks_count_ties_and_bad_scores_against_the_encoder():
    random = np.random.default_rng(5)
    scores = random.integers(0, 6, (300, 20)).astype(float)
    expected = [1 + sum(other >= row[0] for other in row[1:]) for row in scores.tolist()]
    assert metrics.right_ranks(scores).tolist() == expected
    assert metrics.right_ranks(np.full((1, 200), np.nan)).tolist() == [200]
    assert metrics.right_ranks(np.array([[0.5, 0.4, 0.3]])).tolist() == [1]


def test_mean_pairwise_cosine_is_that_of_all_pairs_of_different_rows():
    rows = np.random.default_rng(5).normal(size=(30, 8)) + 1
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [float(unit[i] @ unit[j]) for i in range(30) for j in range(i + 1, 30)]
    assert metrics.mean_pairwise_cosine(rows * 3) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert metrics.mean_pairwise_cosine(np.ones((5, 4))) == pytest.approx(1)
