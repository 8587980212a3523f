"""Masks against boxes: how much of a cell is covered, and how alike two soft masks are."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from calibration_data.region_cells import covered, region_ious
from encoder.train.objective import mask_loss

ABSENT = [0.0] * 5


def boxes(*rows):
    return np.array([[*rows, *[ABSENT] * (4 - len(rows))]])


def test_cells_are_covered_as_a_picture_drawn_large_and_made_small_says():
    left, top, width, height = 0.1, 0.22, 0.55, 0.4
    large = Image.new("L", (1600, 3200))
    edges = (left * 1600, top * 3200, (left + width) * 1600 - 1, (top + height) * 3200 - 1)
    ImageDraw.Draw(large).rectangle(edges, fill=255)
    right = np.asarray(large.resize((16, 32), Image.BOX)) / 255
    found = covered(boxes([1.0, left, top, width, height]), (32, 16))
    assert found.shape == (1, 4, 32, 16)
    np.testing.assert_allclose(found[0, 0], right, atol=0.01)
    assert not found[0, 1:].any()


def test_iou_of_half_a_box_is_a_half():
    right, half = (boxes([1.0, 0.0, 0.0, 1.0, height]) for height in (0.5, 0.25))
    masks = covered(half, (32, 16))
    found = region_ious(masks, right, (256, 128))
    assert found[0, 0] == pytest.approx(0.5) and np.isnan(found[0, 1:]).all()  # absent regions do not count
    assert region_ious(masks, half, (256, 128))[0, 0] == pytest.approx(1.0)


def test_an_edge_inside_a_cell_is_found_between_the_cells():
    """A cell that is covered in part says where in it the edge lies."""
    right = boxes([1.0, 0.0, 0.0, 1.0, 101 / 256])
    assert region_ious(covered(right, (32, 16)), right, (256, 128))[0, 0] > 0.98


def test_the_loss_falls_as_masks_come_closer_and_asks_for_nothing_where_there_is_nothing():
    right = torch.from_numpy(covered(boxes([1.0, 0.2, 0.1, 0.6, 0.3]), (32, 16)))
    close, far = mask_loss(right * 0.9 + 0.05, right), mask_loss(torch.full_like(right, 0.5), right)
    assert mask_loss(right, right) < close < far
    nothing = torch.zeros(1, 4, 32, 16)
    assert mask_loss(nothing, nothing) < 1e-4 < mask_loss(nothing + 0.5, nothing)
