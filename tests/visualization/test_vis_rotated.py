"""Pictures of rotated boxes."""

import numpy as np
import pytest
import torch

from lazycfg.structures import BoxMode, Instances, RotatedBoxes
from lazycfg.visualization import draw_ground_truth, draw_instances
from lazycfg.visualization.canvas import rotated_corners

SIZE = (480, 640)
BOX = [320.0, 240.0, 200.0, 100.0, 30.0]


def drawn(picture: np.ndarray) -> np.ndarray:
    """(N, 2) places (x, y) of pixels that are not as before."""
    rows, columns = np.nonzero((picture != 128).any(axis=2))
    return np.stack((columns, rows), axis=1) + 0.5


def in_frame_of(box: list[float], points: np.ndarray) -> np.ndarray:
    """Along the width and down the height, from the centre."""
    angle = np.radians(box[4])
    axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (points - box[:2]) @ axes.T


def blank() -> np.ndarray:
    return np.full((*SIZE, 3), 128, dtype=np.uint8)


@pytest.mark.parametrize("angle", [0.0, 30.0, -75.0, 200.0])
@pytest.mark.parametrize("way", ["instances", "record", "scaled"])
def test_outline(angle: float, way: str) -> None:
    box = [*BOX[:4], angle]
    if way == "record":
        annotation = {"bbox": box, "bbox_mode": BoxMode.XYWHA_ABS, "category_id": 0}
        picture = draw_ground_truth({"annotations": [annotation]}, image=blank(), scale=1)
    else:
        scale = 2 if way == "scaled" else 1
        small = torch.tensor([box]) / torch.tensor([scale, scale, scale, scale, 1.0])
        boxes = RotatedBoxes(small)
        instances = Instances((SIZE[0] // scale, SIZE[1] // scale), pred_boxes=boxes)
        picture = draw_instances(blank(), instances, scale=1)
    points = drawn(picture)
    if way == "record":  # the label: above the upright hull, or in the box's upper left
        corners = np.array(rotated_corners(box))
        points = points[(points[:, 1] > corners[:, 1].min() + 1)]
    local = np.abs(in_frame_of(box, points))
    to_outline = np.maximum(local[:, 0] - 100, local[:, 1] - 50)
    assert np.abs(to_outline).max() < 3
    # every side is there
    local = in_frame_of(box, points)
    for side in (local[:, 0] < -98, local[:, 0] > 98, local[:, 1] < -48, local[:, 1] > 48):
        assert side.sum() > 50
    # the top is dashed
    assert (local[:, 1] < -48).sum() < 0.8 * (local[:, 1] > 48).sum()


def test_corners_begin_at_the_upper_left() -> None:
    np.testing.assert_allclose(rotated_corners([5, 6, 4, 2, 0]), [(3, 5), (7, 5), (7, 7), (3, 7)])
    np.testing.assert_allclose(rotated_corners([5, 6, 4, 2, 90]), [(4, 8), (4, 4), (6, 4), (6, 8)])
