"""Rotated boxes in degenerate positions, against the clipping of polygons in float64."""

import importlib
import itertools
import math

import pytest
import torch

from lazycfg.layers import ROIAlignRotated, batched_nms_rotated, nms_rotated, pairwise_iou_rotated
from lazycfg.structures.rotated_overlap import may_exceed

# The package has a function of the same name.
pooling_module = importlib.import_module("lazycfg.layers.roi_align_rotated")


def corners(box):
    x, y, w, h, angle = box
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    signs = [(0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)]
    return [(x + u * w * c + v * h * s, y - u * w * s + v * h * c) for u, v in signs]


def area(points):
    if not points:
        return 0.0
    ox, oy = points[0]  # near the polygon: its size counts, not its place
    edges = zip(points, points[1:] + points[:1], strict=True)
    return sum((x0 - ox) * (y1 - oy) - (x1 - ox) * (y0 - oy) for (x0, y0), (x1, y1) in edges) / 2


def iou_by_clipping(a, b):
    """Cut one polygon by the sides of the other (Sutherland & Hodgman), in plain Python numbers."""
    if min(a[2], a[3], b[2], b[3]) <= 0:
        return 0.0
    b = [b[0] - a[0], b[1] - a[1], *b[2:]]
    a = [0.0, 0.0, *a[2:]]
    polygon, window = corners(a), corners(b)
    sign = 1 if area(window) > 0 else -1
    for (x0, y0), (x1, y1) in zip(window, window[1:] + window[:1], strict=True):
        sides = [sign * ((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) for x, y in polygon]
        clipped = []
        for k, (p, u) in enumerate(zip(polygon, sides, strict=True)):
            q, v = polygon[(k + 1) % len(polygon)], sides[(k + 1) % len(polygon)]
            if u >= 0:
                clipped.append(p)
            if u * v < 0:
                t = u / (u - v)
                clipped.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
        polygon = clipped
    inter = abs(area(polygon))
    return inter / (a[2] * a[3] + b[2] * b[3] - inter)


def moved(box, along_width=0.0, along_height=0.0, grown=(1.0, 1.0), turned=0.0):
    """A box displaced by parts of its own sides."""
    x, y, w, h, angle = box
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    u, v = along_width * w, along_height * h
    return [x + u * c + v * s, y - u * s + v * c, w * grown[0], h * grown[1], angle + turned]


BASE = [
    [0.0, 0.0, 4.0, 2.0, 0.0],
    [3.0, -5.0, 4.0, 2.0, 90.0],
    [10.0, 20.0, 30.0, 30.0, 45.0],
    [10.0, 20.0, 30.0, 10.0, 33.3],
    [-7.0, 1e3, 200.0, 0.5, -171.0],
]
RELATIONS = {
    "itself": [{}],
    "half and full turns": [{"turned": 180}, {"turned": -360}, {"turned": 720}],
    "quarter turns": [{"turned": 90}, {"turned": -90}, {"turned": 270}],
    "a side in common, beside it": [{"along_width": 1}, {"along_height": -1}],
    "a corner in common": [{"along_width": 1, "along_height": 1}, {"along_width": -1, "along_height": 1}],
    "inside, along a side": [
        {"along_width": 0.25, "grown": (0.5, 1)},
        {"along_height": 0.25, "grown": (1, 0.5)},
    ],
    "inside, in a corner": [{"along_width": -0.25, "along_height": 0.25, "grown": (0.5, 0.5)}],
    "shifted along a side": [{"along_width": 0.5}, {"along_height": 0.125}],
    "around it": [{"grown": (3, 3), "turned": 45}, {"grown": (100, 100)}],
    "corner on a side": [
        {"along_width": 0.5, "turned": 45},
        {"along_height": 0.5, "grown": (0.3, 0.3), "turned": 30},
    ],
    "a hair's turn": [{"turned": 1e-6}, {"turned": 1e-3}, {"turned": 180 - 1e-5}],
    "without width": [{"grown": (0, 1)}, {"grown": (1, 0)}, {"grown": (0, 0)}],
    "a line": [{"grown": (1, 1e-9)}, {"grown": (1e-9, 1), "turned": 12}],
}
PAIRS = [
    pytest.param(base, moved(base, **change), id=f"{name} {i}.{k}")
    for i, base in enumerate(BASE)
    for name, changes in RELATIONS.items()
    for k, change in enumerate(changes)
]


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_overlap(a, b):
    expected = iou_by_clipping(a, b)
    first, second = (torch.tensor([box], dtype=torch.float64) for box in (a, b))
    for one, other in ((first, second), (second, first)):
        assert pairwise_iou_rotated(one, other).item() == pytest.approx(expected, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("threshold", [0.01, 0.1, 0.5, 0.9, 1.0])
def test_what_overlaps_enough_is_never_left_out(threshold):
    boxes = [moved(base, **change) for base in BASE for changes in RELATIONS.values() for change in changes]
    boxes = torch.tensor(boxes)
    near = may_exceed(boxes[:, None], boxes, threshold)
    assert not (~near & (pairwise_iou_rotated(boxes, boxes) > threshold)).any()
    assert near.float().mean() < 0.5


@pytest.mark.parametrize("offset", [1e4, 1e6])
@pytest.mark.parametrize("size", [1e-2, 1.0, 1e4])
def test_overlap_far_from_the_origin(offset, size):
    """In float32 the places are rounded: the rounded boxes are what is compared."""
    g = torch.Generator().manual_seed(0)
    scale = torch.tensor([size, size, size, size, 360.0])
    boxes = torch.rand(30, 5, generator=g) * scale + torch.tensor([offset, -offset, size / 2, size / 2, -180])
    overlaps = pairwise_iou_rotated(boxes[:10], boxes[10:])
    expected = [[iou_by_clipping(a, b) for b in boxes[10:].tolist()] for a in boxes[:10].tolist()]
    torch.testing.assert_close(overlaps, torch.tensor(expected), rtol=1e-4, atol=1e-6)


def greedy(boxes, scores, idxs, threshold):
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if not any(idxs[i] == idxs[j] and iou_by_clipping(boxes[i], boxes[j]) > threshold for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.7])
def test_suppression(threshold):
    """All relations of one box to itself at once; thresholds that no pair of them meets exactly."""
    boxes = [moved(base, **change) for base in BASE for changes in RELATIONS.values() for change in changes]
    boxes = torch.tensor(boxes).tolist()
    near = [abs(iou_by_clipping(a, b) - threshold) for a, b in itertools.combinations(boxes, 2)]
    assert min(near) > 1e-4
    scores = torch.rand(len(boxes), generator=torch.Generator().manual_seed(0)).tolist()
    idxs = [i % 3 for i in range(len(boxes))]
    kept = batched_nms_rotated(torch.tensor(boxes), torch.tensor(scores), torch.tensor(idxs), threshold)
    assert kept.tolist() == greedy(boxes, scores, idxs, threshold)
    kept = nms_rotated(torch.tensor(boxes), torch.tensor(scores), threshold)
    assert kept.tolist() == greedy(boxes, scores, [0] * len(boxes), threshold)


def test_one_of_many_equal_boxes_is_left():
    boxes = torch.tensor([BASE[3]]).repeat(50, 1)
    boxes[::2, 4] += 180
    scores = torch.ones(50)
    assert nms_rotated(boxes, scores, 0.5).tolist() == [0]
    assert nms_rotated(torch.zeros(3, 5), torch.ones(3), 0.5).tolist() == [0, 1, 2]


@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize(
    "roi",
    [
        [1e7, 0, 10, 10, 30],
        [0, -1e7, 10, 10, 30],
        [10, 10, 1e-7, 1e-7, 30],
        [-3, -3, 1, 1, 45],
        [8, 30, 4, 4, 0],
    ],
)
def test_regions_out_of_the_picture_or_tiny(roi, ratio):
    """A region of almost no size gives the value at its place, one outside nothing."""
    x = torch.arange(400.0).view(1, 1, 20, 20)
    out = ROIAlignRotated(2, 1.0, ratio)(x, torch.tensor([[0.0, *roi]]))
    expected = x[0, 0, 9:11, 9:11].mean() if roi[0] == 10 else torch.tensor(0.0)
    torch.testing.assert_close(out, expected.expand_as(out), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("angle", [0.0, 17.0, 90.0, -135.0])
def test_a_region_around_the_whole_picture(angle):
    """The mean over cells is that over the picture, by its share of the region."""
    x = torch.full((1, 1, 20, 20), 3.0)
    out = ROIAlignRotated(4, 1.0, 0)(x, torch.tensor([[0.0, 10, 10, 200, 200, angle]]))
    share = 22**2 / 200**2  # samples up to a pixel's width outside count as the border
    assert out.mean().item() == pytest.approx(3 * share, rel=0.15)
    turned = ROIAlignRotated(4, 1.0, 0)(x, torch.tensor([[0.0, 10, 10, 16, 16, angle]]))
    if angle % 90 == 0:
        torch.testing.assert_close(turned, torch.full_like(turned, 3.0))


def test_points_outside_of_huge_regions_are_left_out(monkeypatch):
    x = torch.rand(2, 3, 9, 12, requires_grad=True)
    rois = torch.tensor(
        [[0, 5, 5, 400, 300, 20], [1, 10, 8, 300, 2, -50], [1, 900, 900, 80, 80, 9], [0, 6, 4, 5, 5, 10]]
    )
    weight = torch.rand(4, 3, 2, 3)

    def pooled():
        out = ROIAlignRotated((2, 3), 0.5, 0)(x, rois)
        return out, torch.autograd.grad((out * weight).sum(), x)[0]

    few = pooled()
    monkeypatch.setattr(pooling_module, "_MANY_SAMPLES", 1 << 40)
    for a, b in zip(few, pooled(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)
    assert not few[0][2].any()
    assert few[0][[0, 1, 3]].abs().sum(dim=(1, 2, 3)).all()
