"""Masks against boxes: how much of a cell is covered, and how alike two soft masks are."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from encoder.train.region_masks import covered, iou, mask_loss, mean_iou

ABSENT = [0.0] * 5


def boxes(*rows):
    return torch.tensor([[*rows, *[ABSENT] * (4 - len(rows))]])


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
    whole, half = (covered(boxes([1.0, 0.0, 0.0, 1.0, height]), (32, 16)) for height in (0.4, 0.2))
    assert float(iou(half, whole)[0, 0]) == pytest.approx(0.5)
    assert mean_iou(half, whole) == pytest.approx(0.5)  # regions that are not there do not count
    assert mean_iou(whole, whole) == pytest.approx(1.0)


def test_the_loss_falls_as_masks_come_closer_and_asks_for_nothing_where_there_is_nothing():
    right = covered(boxes([1.0, 0.2, 0.1, 0.6, 0.3]), (32, 16))
    close, far = mask_loss(right * 0.9 + 0.05, right), mask_loss(torch.full_like(right, 0.5), right)
    assert mask_loss(right, right) < close < far
    nothing = torch.zeros(1, 4, 32, 16)
    assert mask_loss(nothing, nothing) < 1e-4 < mask_loss(nothing + 0.5, nothing)
