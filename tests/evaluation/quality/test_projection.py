"""The map of embeddings: neighbours stay neighbours, and the same rows give the same map."""

import numpy as np
import pytest

from evaluation.quality.projection import principal_components, tsne


def test_principal_components_are_the_directions_of_most_variance():
    random = np.random.default_rng(2)
    rows = random.normal(size=(200, 6)) * [9, 5, 1, 1, 1, 1]
    found = principal_components(rows, 2)
    values = np.linalg.eigvalsh(np.cov(rows.T))[::-1][:2]
    np.testing.assert_allclose(found.var(axis=0, ddof=1), values)
    assert abs(np.corrcoef(found.T)[0, 1]) < 1e-9


def test_clusters_stay_together_and_apart():
    random = np.random.default_rng(3)
    labels = np.repeat(np.arange(6), 30)
    rows = random.normal(size=(6, 64))[labels] * 3 + random.normal(size=(180, 64))
    places = tsne(rows)
    assert places.shape == (180, 2) and np.isfinite(places).all()
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    neighbours = labels[np.argsort(distances, axis=1)[:, :5]]
    assert (neighbours == labels[:, None]).mean() > 0.99
    assert np.array_equal(places, tsne(rows))


@pytest.mark.parametrize("rows", [np.zeros((8, 4)), np.eye(5), np.random.default_rng(0).normal(size=(12, 3))])
def test_few_or_equal_rows_give_a_map_too(rows):
    assert np.isfinite(tsne(rows)).all()
