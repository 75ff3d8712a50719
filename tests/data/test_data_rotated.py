"""Rotated boxes from annotations to ground truth."""

import math

import numpy as np
import pytest
import torch

from lazycfg.data import CocoDataset, DatasetMapper, ShapesDataset, annotations_to_instances_rotated
from lazycfg.data import transforms as T
from lazycfg.structures import BoxMode, RotatedBoxes, matched_iou_rotated

W, H = 120, 80


def random_boxes(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform([20, 20, 5, 5, -360], [W - 20, H - 20, 40, 30, 360], (n, 5))


def corners(boxes: np.ndarray) -> np.ndarray:
    """(N, 4, 2): upper left, upper right, lower right, lower left, as seen by the box itself."""
    theta = np.radians(boxes[:, 4])
    right = np.stack((np.cos(theta), -np.sin(theta)), axis=1) * boxes[:, 2:3] / 2
    down = np.stack((np.sin(theta), np.cos(theta)), axis=1) * boxes[:, 3:4] / 2
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return np.stack([boxes[:, :2] + u * right + v * down for u, v in signs], axis=1)


@pytest.mark.parametrize(
    ("transform", "mirrors"),
    [
        (T.HFlipTransform(W), True),
        (T.VFlipTransform(H), True),
        (T.CropTransform(7, 9, 50, 40), False),
        (T.PadTransform(3, 4, 5, 6), False),
        (T.ResizeTransform(H, W, 2 * H, 2 * W), False),
        (T.RotationTransform(H, W, 33.0), False),
        (T.TransformList([T.HFlipTransform(W), T.RotationTransform(H, W, -71.0, expand=False)]), True),
        (T.TransformList([]), False),
    ],
)
def test_corners_of_the_moved_box_are_the_moved_corners(transform: T.Transform, mirrors: bool) -> None:
    boxes = random_boxes(20)
    moved = transform.apply_rotated_box(boxes)
    expected = transform.apply_coords(corners(boxes).reshape(-1, 2)).reshape(-1, 4, 2)
    if mirrors:  # what was on its right is on its left; its top stays its top
        expected = expected[:, [1, 0, 3, 2]]
    np.testing.assert_allclose(corners(moved), expected, atol=1e-9)


def test_resizing_by_unequal_factors() -> None:
    boxes = random_boxes(20)
    moved = T.ResizeTransform(H, W, 3 * H, 2 * W).apply_rotated_box(boxes)
    expected = RotatedBoxes(boxes)
    expected.scale(2.0, 3.0)
    np.testing.assert_allclose(moved[:, :4], expected.tensor[:, :4], rtol=1e-5)
    turn = (moved[:, 4] - expected.tensor[:, 4].numpy() + 180) % 360 - 180
    np.testing.assert_allclose(turn, 0, atol=1e-4)


def record(*boxes: list[float], **extra: object) -> dict:
    annotations = [
        {"bbox": box, "bbox_mode": BoxMode.XYWHA_ABS if len(box) == 5 else BoxMode.XYXY_ABS, "category_id": 1}
        for box in boxes
    ]
    return {"image": np.zeros((H, W, 3), np.uint8), "annotations": annotations, **extra}


def test_mapper() -> None:
    augmentations = [T.HFlipTransform(W), T.ResizeTransform(H, W, 2 * H, 2 * W)]
    mapper = DatasetMapper(is_train=True, use_rotated_box=True, augmentations=augmentations)
    item = mapper(record([40.0, 30, 20, 10, 25], [10.0, 20, 50, 40], [0.0, 40, 30, 10, 0.5]))
    boxes = item["instances"].gt_boxes
    assert isinstance(boxes, RotatedBoxes)
    expected = [[160, 60, 40, 20, -25], [180, 60, 80, 40, 0], [232.5, 80, 15, 20, -0.5]]
    # the last reaches out of the picture and is upright enough to be clipped
    expected[2] = [225.0, 80, 30, 20, -0.5]
    torch.testing.assert_close(boxes.tensor, torch.tensor(expected), atol=1e-3, rtol=0)
    assert item["instances"].gt_classes.tolist() == [1, 1, 1]


def test_mapper_with_nothing_left() -> None:
    mapper = DatasetMapper(is_train=True, use_rotated_box=True)
    assert mapper(record())["instances"].gt_boxes.tensor.shape == (0, 5)
    crop = DatasetMapper(
        is_train=True, use_rotated_box=True, augmentations=[T.CropTransform(60, 0, 60, H, W, H)]
    )
    gone, reaching = [30.0, 30, 20, 10, 25], [50.0, 30, 40, 10, 25]
    assert len(crop(record(gone))["instances"]) == 0
    assert crop(record(gone, reaching))["instances"].gt_boxes.tensor[:, 0].tolist() == [-10]
    with pytest.raises(ValueError, match="use_rotated_box"):
        DatasetMapper(is_train=True, use_rotated_box=True, use_instance_mask=True, recompute_boxes=True)


def test_angles_are_normalised() -> None:
    annotations = [
        {"bbox": [9, 9, 4, 2, a], "bbox_mode": BoxMode.XYWHA_ABS, "category_id": 0} for a in (190, 360)
    ]
    boxes = annotations_to_instances_rotated(annotations, (H, W)).gt_boxes
    assert boxes.tensor[:, 4].tolist() == [-170, 0]


ALL = ("circle", "triangle", "square", "pentagon", "hexagon", "star", "cross", "bar")


def test_shapes_lie_in_their_boxes_and_touch_all_sides() -> None:
    upright, rotated = (
        ShapesDataset(
            num_images=20, image_size=96, classes=ALL, num_objects=(1, 1), radius=(0.15, 0.2), rotated=rotated
        )
        for rotated in (False, True)
    )
    angles = []
    for i in range(20):
        (before,), (annotation,) = (d.get_annotations(i)["annotations"] for d in (upright, rotated))
        assert annotation["bbox_mode"] == BoxMode.XYWHA_ABS
        assert annotation["segmentation"] == before["segmentation"]
        x, y, w, h, angle = annotation["bbox"]
        points = np.array(annotation["segmentation"][0]).reshape(-1, 2) - [x, y]
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        along = np.abs(points @ np.array([[c, -s], [s, c]]).T)
        np.testing.assert_allclose(along.max(axis=0), [w / 2, h / 2], atol=0.03)
        angles.append(angle)
    assert np.ptp(angles) > 45
    assert max(map(abs, angles)) <= 90


def test_a_bar_fills_its_box() -> None:
    data = ShapesDataset(
        num_images=10, image_size=128, classes=["bar"], num_objects=(1, 1), radius=(0.1, 0.14), rotated=True
    )
    for i in range(10):
        (annotation,) = data.get_annotations(i)["annotations"]
        w, h = annotation["bbox"][2:4]
        assert annotation["area"] > 0.9 * w * h
        assert w > 1.5 * h


def test_through_a_coco_file(tmp_path) -> None:
    data = ShapesDataset(num_images=3, image_size=64, rotated=True)
    annotations, _ = data.export_coco(tmp_path)
    read = CocoDataset(json_file=annotations)
    for i in range(3):
        a, b = (d[i]["annotations"] for d in (data, read))
        assert [x["bbox"] for x in a] == [x["bbox"] for x in b]
        assert all(x["bbox_mode"] == BoxMode.XYWHA_ABS for x in b)
    mapper = DatasetMapper(is_train=True, use_rotated_box=True, augmentations=[T.HFlipTransform(64)])
    item = mapper(read[0])
    mirrored = torch.tensor([x["bbox"] for x in data[0]["annotations"]]) * torch.tensor([-1, 1, 1, 1, -1.0])
    mirrored[:, 0] += 64
    assert bool((matched_iou_rotated(item["instances"].gt_boxes.tensor, mirrored) > 0.99).all())
