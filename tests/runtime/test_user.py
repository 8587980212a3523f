"""User vectors of any scale, on every engine: a finite embedding of length 1, and the definition to the bit."""

import math
import struct

import numpy as np
import pytest

from runtime import ScreenEncoder
from runtime.bundle import ENGINES, PRECISIONS
from runtime.user import UserVectorError, bound_norm, check_user
from tests.runtime.conftest import change_manifest

SCALES = (1e-45, 1e-38, 1e-3, 1, 8, 1e3, 1e19, 3e38)
MAX_NORM = 1.22


def by_the_book(user: np.ndarray, max_norm: float) -> list[float]:
    """The definition in docs/architecture.md, in Python's own floats."""
    total = 0.0
    for number in user.tolist():
        total += number * number
    norm = math.sqrt(total)
    if norm <= max_norm:
        return user.tolist()
    return [struct.unpack("f", struct.pack("f", number * (max_norm / norm)))[0] for number in user.tolist()]


@pytest.mark.parametrize("scale", SCALES)
def test_every_bit_is_defined(scale):
    random = np.random.default_rng(1)
    users = np.clip(scale * random.normal(size=(50, 64)), -3e38, 3e38).astype(np.float32)
    users[:, :30] *= random.random((50, 30)) < 0.5
    bound = bound_norm(users, MAX_NORM)
    assert bound.dtype == np.float32
    for user, found in zip(users, bound, strict=True):
        assert found.tolist() == by_the_book(user, MAX_NORM)
        assert bound_norm(user, MAX_NORM).tobytes() == found.tobytes()
    assert np.linalg.norm(bound.astype(np.float64), axis=1).max() <= MAX_NORM * (1 + 1e-6)


def test_a_short_vector_keeps_its_bits():
    user = np.array([-0.0, 1e-45, -1e-38, 0.5, MAX_NORM / 2] + [0] * 59, np.float32)
    assert bound_norm(user, MAX_NORM).tobytes() == user.tobytes()


@pytest.fixture(params=[(engine, precision) for engine in ENGINES for precision in PRECISIONS])
def encoder(request, tiny, screen) -> ScreenEncoder:
    opened = ScreenEncoder.load(tiny, *request.param)
    opened.encode_screen(screen)
    return opened


def test_any_finite_vector_gives_an_embedding_of_length_1(encoder):
    direction = np.random.default_rng(2).uniform(-1, 1, 64)
    direction[5] = 1
    for scale in (*SCALES, float(np.finfo(np.float32).max)):
        for user in (scale * direction, [scale] * 64, [0] * 63 + [-scale]):
            embedding = encoder.encode_text("see", user)
            assert np.isfinite(embedding).all()
            assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5), scale


def test_only_the_direction_counts_beyond_the_bound(encoder):
    direction = np.repeat([1, -1, 1, 1], 16) / 8
    longest = encoder.encode_text("see", MAX_NORM * direction)
    for scale in (8, 1e3, 3e38):
        np.testing.assert_allclose(encoder.encode_text("see", scale * direction), longest, atol=2e-3)
    assert not np.allclose(encoder.encode_text("see", 0.5 * direction), longest, atol=2e-3)


def test_the_bundle_says_how_long(copied, screen):
    user = np.full(64, 0.1)  # of length 0.8
    loose = ScreenEncoder.load(copied).encode(screen, "see", user)
    change_manifest(copied, lambda manifest: manifest["preprocessing"]["user"].update(max_norm=0.4))
    tight = ScreenEncoder.load(copied)
    assert np.array_equal(tight.encode(screen, "see", user), tight.encode(screen, "see", user / 2))
    assert not np.array_equal(tight.encode(screen, "see", user), loose)


def test_integers_of_any_size_are_numbers():
    assert check_user([10**30] * 64, 64).tolist() == [float(np.float32(1e30))] * 64
    with pytest.raises(UserVectorError, match="64 numbers in a flat list"):
        check_user([10**400] * 64, 64)


class Raises:
    """A stranger's class, of which an array cannot be made."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __array__(self, *arguments, **options):
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("needs grad"), KeyError("x"), MemoryError()])
def test_what_a_strangers_class_raises_is_the_cause(encoder, error):
    with pytest.raises(UserVectorError, match="64 numbers in a flat list") as caught:
        encoder.encode_text("see", Raises(error))
    assert caught.value.__cause__ is error


def test_items_that_raise(encoder):
    class Item:
        def __float__(self):
            raise RuntimeError("no number")

    for user in ([Item()] * 64, [Raises(OSError("gone"))] * 64):
        with pytest.raises(UserVectorError, match="64 numbers in a flat list") as caught:
            encoder.encode_text("see", user)
        assert caught.value.__cause__ is not None
