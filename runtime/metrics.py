"""How close an engine's outputs are to PyTorch's, and how well embeddings rank. Pure numpy, float64 inside.

`values` and `golden` are arrays [N, ...] of one shape; each sample is compared as one flat row.
"""

import numpy as np

_TIE = 1e-9


def _rows(values: np.ndarray, golden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, golden = np.asarray(values, np.float64), np.asarray(golden, np.float64)
    if values.shape != golden.shape or values.ndim < 2 or not len(values):
        raise ValueError(f"values {values.shape} and golden {golden.shape} must be one shape [N, ...], N > 0")
    return values.reshape(len(values), -1), golden.reshape(len(golden), -1)


def normalized(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1, float64; a row of zeros stays one.

    Args:
        rows: [N, D].
    """
    rows = np.asarray(rows, np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms != 0)


def max_abs(values: np.ndarray, golden: np.ndarray) -> float:
    """Largest absolute difference of any element."""
    values, golden = _rows(values, golden)
    return float(np.abs(values - golden).max())


def cosine(values: np.ndarray, golden: np.ndarray) -> np.ndarray:
    """Cosine of each row with its golden row.

    Returns:
        float64 [N] in [-1, 1]. A row of zeros has cosine 0, or 1 where both rows are zeros.
    """
    values, golden = _rows(values, golden)
    both_zero = ~values.any(axis=1) & ~golden.any(axis=1)
    return np.where(both_zero, 1.0, (normalized(values) * normalized(golden)).sum(axis=1))


def mean_centred_cosine(values: np.ndarray, golden: np.ndarray) -> np.ndarray:
    """Cosine of each row with its golden row, both less the mean golden row.

    Plain cosine hides errors where all rows lie close together; this one does not. It needs at least two
    different golden rows to mean anything.

    Returns:
        float64 [N] in [-1, 1].
    """
    values, golden = _rows(values, golden)
    mean = golden.mean(axis=0)
    return cosine(values - mean, golden - mean)


def self_retrieval(values: np.ndarray, golden: np.ndarray) -> float:
    """Share of rows whose nearest golden row, by mean-centred cosine, is their own.

    Golden rows that are equal tie, and a tie counts as found.

    Returns:
        A float in [0, 1].
    """
    values, golden = _rows(values, golden)
    mean = golden.mean(axis=0)
    similarity = normalized(values - mean) @ normalized(golden - mean).T  # [N, N]
    return float(np.mean(np.diagonal(similarity) >= similarity.max(axis=1) - _TIE))


def right_ranks(scores: np.ndarray) -> np.ndarray:
    """The place of the right candidate, which is the first of each row; a tie counts against it.

    Args:
        scores: [N, C], higher is better.

    Returns:
        int64 [N], from 1 to C.
    """
    right = scores[:, :1]
    return 1 + np.count_nonzero(~(scores[:, 1:] < right), axis=1)


def mean_pairwise_cosine(rows: np.ndarray) -> float:
    """Mean cosine of all pairs of different rows: 1 where all are alike, about 0 where they fill the space.

    Args:
        rows: [N, D], N > 1.
    """
    unit, count = normalized(rows), len(rows)
    return float((np.square(unit.sum(axis=0)).sum() - np.square(unit).sum()) / (count * (count - 1)))
