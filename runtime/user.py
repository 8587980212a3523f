"""The app's user vector: checked, and brought to a length that the model knows."""

from collections.abc import Sequence

import numpy as np

from .errors import InputError


class UserVectorError(InputError):
    """The app's user vector cannot be used."""


def check_user(user: Sequence[float] | np.ndarray, length: int) -> np.ndarray:
    """A user vector as float32 [length].

    Raises:
        UserVectorError: Not a flat sequence of numbers, another length, or a number that is not finite.
    """
    try:
        array = np.asarray(user)
        if array.dtype == object and all(type(number) in (int, float) for number in array.flat):
            array = array.astype(np.float64)  # integers of more than 64 bits
        if array.dtype.kind not in "fiu":
            raise ValueError(f"numpy reads {array.dtype}")
    except Exception as error:  # `user` may be of any class, and its items too
        raise UserVectorError(f"the user vector must be {length} numbers in a flat list") from error
    if array.shape != (length,):
        found = f"{array.size} numbers" if array.ndim == 1 else f"an array of shape {list(array.shape)}"
        raise UserVectorError(f"the user vector must be {length} numbers, not {found}")
    with np.errstate(over="ignore"):
        vector = array.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(vector))
    if bad.size:
        raise UserVectorError(
            f"the user vector holds {array[bad[0]]} at position {bad[0]}: "
            "every number must be finite (float32)"
        )
    return vector


def bound_norm(users: np.ndarray, max_norm: float) -> np.ndarray:
    """User vectors, float32 [..., U], those longer than `max_norm` scaled down to it.

    A direction says who types; a length beyond those of the calibration data only leaves the range that the
    model's integers cover, or overflows. Every runtime computes the same bits: the squares, their sum from
    the first to the last, its root and the products are float64, and the result is rounded to float32 once.
    A vector that is short enough keeps its bits.
    """
    wide = users.astype(np.float64)
    total = np.add.accumulate(wide * wide, axis=-1)[..., -1:]  # one after another; np.sum adds in pairs
    return (wide * (max_norm / np.maximum(np.sqrt(total), max_norm))).astype(np.float32)
