"""Boxes of regions as cells of a screen, and how well masks lie on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from calibration_data.samples import Sample
from runtime.bundle import REGION_NAMES


def region_boxes(sample: Sample) -> list[list[float]]:
    """Of each of REGION_NAMES: presence, then x, y, width and height as parts of the screen."""
    rows = []
    for name in REGION_NAMES:
        box = sample.boxes.get(name)
        if box is None:
            rows.append([0.0] * 5)
        else:
            x, y, width, height = box
            rows.append(
                [1.0, x / sample.width, y / sample.height, width / sample.width, height / sample.height]
            )
    return rows


def covered(boxes: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """How much of each cell lies inside each box.

    Args:
        boxes: float [B, 4, 5], as `region_boxes` gives them.
        size: rows and columns of the cells.

    Returns:
        float32 [B, 4, rows, columns], 0 to 1; 0 where there is no box.
    """
    present, x, y, width, height = np.moveaxis(np.asarray(boxes, np.float32), 2, 0)
    down = _overlap(y, y + height, size[0])  # [B, 4, rows]
    right = _overlap(x, x + width, size[1])  # [B, 4, columns]
    return present[..., None, None] * down[..., :, None] * right[..., None, :]


def _overlap(start: np.ndarray, end: np.ndarray, cells: int) -> np.ndarray:
    """Part of each of `cells` equal cells of [0, 1] that an interval covers, [..., cells]."""
    edges = np.arange(cells + 1, dtype=np.float32) / cells
    first, last = np.maximum(start[..., None], edges[:-1]), np.minimum(end[..., None], edges[1:])
    return (last - first).clip(min=0) * cells


def region_ious(masks: np.ndarray, boxes: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Intersection over union of masks with boxes, in pixels, as masks are judged everywhere in the field.

    Masks are enlarged to the image's size (bilinear) and cut at a half; a pixel belongs to a box that covers
    half of it.

    Args:
        masks: what was found, float32 [B, 4, rows, columns] in [0, 1].
        boxes: float [B, 4, 5], as `region_boxes` gives them.
        size: height and width of the image.

    Returns:
        float64 [B, 4]; NaN where there is no such region.
    """
    height, width = size
    found = np.empty((*masks.shape[:2], height, width), bool)
    for place in np.ndindex(masks.shape[:2]):
        sheet = Image.fromarray(np.ascontiguousarray(masks[place], np.float32))
        found[place] = np.asarray(sheet.resize((width, height), Image.BILINEAR)) > 0.5
    right = covered(boxes, size) > 0.5
    both, either = ((found & right).sum(axis=(2, 3)), (found | right).sum(axis=(2, 3)))
    return np.where(right.any(axis=(2, 3)), both / np.maximum(either, 1), np.nan)
