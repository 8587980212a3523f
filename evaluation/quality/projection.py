"""Embeddings on a plane: t-SNE after principal components, exact and deterministic.

Our own, in numpy: scikit-learn would come along for this one picture.
"""

from __future__ import annotations

import numpy as np

PERPLEXITY = 30.0
STEPS = 400
_EARLY, _EXAGGERATION, _RATE = 100, 12.0, 200.0
_TINY = 1e-12


def principal_components(rows: np.ndarray, count: int) -> np.ndarray:
    """The first principal components of centred rows; each one's largest entry is positive.

    Args:
        rows: [N, D].
        count: of components, at most min(N, D).

    Returns:
        float64 [N, count].
    """
    centred = np.asarray(rows, np.float64) - np.mean(rows, axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    components = (left * sizes)[:, :count]
    largest = np.abs(components).argmax(axis=0)
    return components * np.where(components[largest, np.arange(components.shape[1])] < 0, -1, 1)


def tsne(rows: np.ndarray, perplexity: float = PERPLEXITY, steps: int = STEPS) -> np.ndarray:
    """Points on a plane whose neighbours are the rows' neighbours (van der Maaten and Hinton, 2008).

    It starts from the principal components, so that the same rows give the same map.

    Args:
        rows: [N, D], N > 3 * perplexity is best.
        perplexity: about how many neighbours count; lowered for few rows.
        steps: of gradient descent.

    Returns:
        float64 [N, 2].
    """
    wanted = _joint(_squared_distances(np.asarray(rows, np.float64)), min(perplexity, (len(rows) - 1) / 3))
    places = principal_components(rows, 2)
    places *= 1e-4 / max(float(places[:, 0].std()), _TINY)
    speed, gain = np.zeros_like(places), np.ones_like(places)
    for step in range(steps):
        early = step < _EARLY
        slope = _gradient(wanted * (_EXAGGERATION if early else 1.0), places)
        same = np.sign(slope) == np.sign(speed)
        gain = np.maximum(np.where(same, gain * 0.8, gain + 0.2), 0.01)
        speed = (0.5 if early else 0.8) * speed - _RATE * gain * slope
        places = places + speed
        places -= places.mean(axis=0)
    return places


def _gradient(wanted: np.ndarray, places: np.ndarray) -> np.ndarray:
    near = 1 / (1 + _squared_distances(places))  # Student's t with one degree of freedom
    np.fill_diagonal(near, 0)
    pull = (wanted - near / near.sum()) * near
    return 4 * (pull.sum(axis=1, keepdims=True) * places - pull @ places)


def _joint(distances: np.ndarray, perplexity: float) -> np.ndarray:
    """Symmetric probabilities of being neighbours: each row's Gaussian has the wanted perplexity."""
    count = len(distances)
    low, high = np.zeros(count), np.full(count, np.inf)
    precision = 1 / np.maximum(distances.mean(axis=1), _TINY)
    shares = np.zeros_like(distances)
    for _ in range(60):  # bisection of all rows at once
        nearest = np.where(np.eye(count, dtype=bool), np.inf, distances)
        shares = np.exp(-precision[:, None] * (nearest - nearest.min(axis=1, keepdims=True)))
        shares /= shares.sum(axis=1, keepdims=True)
        entropy = -(shares * np.log(np.maximum(shares, _TINY))).sum(axis=1)
        flat = entropy > np.log(perplexity)
        low, high = np.where(flat, precision, low), np.where(flat, high, precision)
        precision = np.where(np.isinf(high), precision * 2, (low + np.minimum(high, 1e300)) / 2)
    both = shares + shares.T
    return np.maximum(both / both.sum(), _TINY)


def _squared_distances(rows: np.ndarray) -> np.ndarray:
    norms = np.square(rows).sum(axis=1)
    distances = np.maximum(norms[:, None] + norms[None] - 2 * rows @ rows.T, 0)
    np.fill_diagonal(distances, 0)
    return distances
