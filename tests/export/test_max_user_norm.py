"""How long user vectors may be, by the samples of the export."""

from pathlib import Path

import numpy as np
import pytest

from calibration_data.samples import Sample
from export.calibration import DEFAULT_FOLDER, load_samples, max_user_norm


def of_lengths(*lengths: float | None) -> float:
    """The bound where the samples' users are of these lengths; None = an unknown user."""
    users = [None if length is None else (0.0,) * 63 + (-length,) for length in lengths]
    fixed = {"id": "a", "split": "calibration", "image": Path("unused"), "text": ""}
    return max_user_norm([Sample(user=user, **fixed) for user in users])


def test_it_is_a_tenth_more_than_the_longest():
    assert of_lengths(None, 2, 5, 0) == 5.5
    assert of_lengths(3e38) == pytest.approx(3.3e38)


@pytest.mark.parametrize("lengths", [(None, None), (0, 0), ()])
def test_where_nobody_is_known_it_is_that_of_a_unit_vector(lengths):
    assert of_lengths(*lengths) == 1.1


def test_it_is_never_nothing():
    assert of_lengths(1e-30) == 0.01


def test_no_committed_sample_is_changed_by_it():
    samples = load_samples(DEFAULT_FOLDER, 64)
    assert max(np.linalg.norm(sample.user) for sample in samples if sample.user) < max_user_norm(samples)
