import math

import pytest
import torch

from lazycfg.structures import (
    Boxes,
    RotatedBoxes,
    matched_iou_rotated,
    pairwise_iou,
    pairwise_iou_rotated,
    rotated_boxes,
    rotated_overlap,
)


def corners(box):
    xc, yc, w, h, angle = box
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    # The y axis points down: counter-clockwise in the image is clockwise in these coordinates.
    signs = [(0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)]
    return [(xc + u * w * c + v * h * s, yc - u * w * s + v * h * c) for u, v in signs]


def polygon_area(points):
    edges = zip(points, points[1:] + points[:1], strict=True)
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in edges) / 2


def iou_by_clipping(a, b):
    """Cut the polygon of one box by the sides of the other, one after the other, in plain Python."""
    polygon, window = corners(a), corners(b)
    sign = 1 if polygon_area(window) > 0 else -1
    for (x0, y0), (x1, y1) in zip(window, window[1:] + window[:1], strict=True):

        def side(p, x0=x0, y0=y0, x1=x1, y1=y1):
            return sign * ((x1 - x0) * (p[1] - y0) - (y1 - y0) * (p[0] - x0))

        clipped = []
        for p, q in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            u, v = side(p), side(q)
            if u >= 0:
                clipped.append(p)
            if (u > 0 > v) or (u < 0 < v):
                t = u / (u - v)
                clipped.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
        polygon = clipped
        if not polygon:
            return 0.0
    inter = abs(polygon_area(polygon))
    return inter / (a[2] * a[3] + b[2] * b[3] - inter)


def random_boxes(n, seed, low=1.0, size=30.0):
    g = torch.Generator().manual_seed(seed)
    scale = torch.tensor([20, 20, size, size, 720.0])
    return torch.rand(n, 5, generator=g) * scale + torch.tensor([0, 0, low, low, -360.0])


class TestIoU:
    @pytest.mark.parametrize("seed", range(3))
    def test_against_clipping(self, seed):
        a, b = random_boxes(25, seed), random_boxes(20, seed + 100)
        expected = torch.tensor([[iou_by_clipping(x, y) for y in b.tolist()] for x in a.tolist()])
        torch.testing.assert_close(pairwise_iou_rotated(a, b), expected, atol=1e-6, rtol=1e-5)
        matched = matched_iou_rotated(a[:20], b)
        torch.testing.assert_close(matched, expected[:20].diagonal(), atol=1e-6, rtol=1e-5)

    def test_thin_boxes_against_clipping(self):
        a, b = random_boxes(25, 0), random_boxes(20, 1)
        a[:, 3], b[:, 2] = 0.01, 0.02
        expected = torch.tensor([[iou_by_clipping(x, y) for y in b.tolist()] for x in a.tolist()])
        torch.testing.assert_close(pairwise_iou_rotated(a, b), expected, atol=1e-7, rtol=1e-4)

    def test_multiples_of_right_angles_equal_upright_boxes(self):
        a, b = random_boxes(40, 0), random_boxes(30, 1)
        a[:, 4], b[:, 4] = 0, 180
        a[::2, 4] = 360

        def upright(t):
            return Boxes(torch.cat((t[:, :2] - t[:, 2:4] / 2, t[:, :2] + t[:, 2:4] / 2), dim=1))

        expected = pairwise_iou(upright(a), upright(b))
        torch.testing.assert_close(pairwise_iou_rotated(a, b), expected, atol=1e-6, rtol=1e-5)
        turned = a[:, [0, 1, 3, 2, 4]]
        turned[:, 4] += 90
        torch.testing.assert_close(pairwise_iou_rotated(turned, b), expected, atol=1e-6, rtol=1e-5)

    def test_a_square_on_its_corner(self):
        """Two unit squares at 45 degrees share a regular octagon."""
        octagon = 2 * (math.sqrt(2) - 1)
        a, b = torch.tensor([[5.0, 5, 1, 1, 0]]), torch.tensor([[5.0, 5, 1, 1, 45]])
        assert pairwise_iou_rotated(a, b).item() == pytest.approx(octagon / (2 - octagon), rel=1e-6)

    def test_equal_boxes(self):
        a = random_boxes(500, 0, low=1e-2, size=3000.0)
        torch.testing.assert_close(matched_iou_rotated(a, a), torch.ones(500))
        for change in ([0, 0, 0, 0, 1e-6], [1e-6, -1e-6, 0, 0, 0], [0, 0, 0, 0, 180.0], [0, 0, 0, 0, -360.0]):
            near = a.double() + torch.tensor(change, dtype=torch.float64)
            torch.testing.assert_close(matched_iou_rotated(a, near), torch.ones(500), atol=1e-3, rtol=0)

    def test_containment(self):
        outer, inner = torch.tensor([[0.0, 0, 100, 100, 30]]), torch.tensor([[1.0, 2, 10, 5, 77]])
        assert pairwise_iou_rotated(outer, inner).item() == pytest.approx(50 / 10000, rel=1e-6)
        assert pairwise_iou_rotated(inner, outer).item() == pytest.approx(50 / 10000, rel=1e-6)

    def test_apart_is_exactly_zero(self):
        a = random_boxes(50, 0)
        b = random_boxes(50, 1) + torch.tensor([100.0, 0, 0, 0, 0])
        assert not pairwise_iou_rotated(a, b).any()
        touching = torch.tensor([[0.0, 0, 2, 2, 0]]), torch.tensor([[2.0, 0, 2, 2, 0]])
        assert pairwise_iou_rotated(*touching).item() == 0

    def test_degenerate(self):
        point = torch.tensor([[1.0, 1, 0, 0, 10]])
        line = torch.tensor([[1.0, 1, 10, 0, 10]])
        box = torch.tensor([[1.0, 1, 5, 5, 10]])
        for a in (point, line):
            for b in (point, line, box):
                assert pairwise_iou_rotated(a, b).item() == 0

    def test_absurd_numbers(self):
        a = torch.tensor([[160.0, 153.0, 230.0, 23.0, -37.0]])
        b = torch.tensor([[-1.1e17, 1.4e18, 1000.0, 1000.0, 1612.0]])
        assert pairwise_iou_rotated(a, b).item() == 0
        assert pairwise_iou_rotated(b, a).item() == 0

    def test_symmetry_and_range(self):
        a = random_boxes(60, 5)
        iou = pairwise_iou_rotated(a, a)
        torch.testing.assert_close(iou, iou.T, atol=1e-6, rtol=1e-5)
        assert (iou >= 0).all()
        assert (iou <= 1).all()

    def test_batched_and_chunked(self, monkeypatch):
        a = torch.stack([random_boxes(9, s) for s in range(2)])
        b = torch.stack([random_boxes(6, s + 5) for s in range(2)])
        expected = torch.stack([pairwise_iou_rotated(a[i], b[i]) for i in range(2)])
        assert torch.equal(pairwise_iou_rotated(a, b), expected)
        shared = pairwise_iou_rotated(a, b[0])
        assert torch.equal(shared[0], expected[0])
        monkeypatch.setattr(rotated_overlap, "_CHUNK_PAIRS", 25)
        assert torch.equal(pairwise_iou_rotated(a, b), expected)

    def test_nothing(self):
        assert pairwise_iou_rotated(torch.zeros(0, 5), random_boxes(3, 0)).shape == (0, 3)
        assert pairwise_iou_rotated(random_boxes(3, 0), torch.zeros(0, 5)).shape == (3, 0)
        with pytest.raises(ValueError, match=r"\(2, 4\)"):
            pairwise_iou_rotated(torch.zeros(2, 4), torch.zeros(2, 5))

    def test_a_device_is_not_waited_for(self):
        """The meta device has no numbers to ask for."""
        a, b = torch.zeros(7, 5, device="meta"), torch.zeros(4, 5, device="meta")
        assert pairwise_iou_rotated(a, b).shape == (7, 4)
        boxes = RotatedBoxes(a)
        boxes.clip((10, 10))
        boxes.scale(2, 3)
        assert boxes.inside_box((10, 10)).shape == (7,)

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    def test_gpu(self):
        a, b = random_boxes(300, 0), random_boxes(200, 1)
        expected = pairwise_iou_rotated(a, b)
        a, b = a.cuda(), b.cuda()
        torch.cuda.set_sync_debug_mode("error")
        try:
            iou = pairwise_iou_rotated(a, b)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        torch.testing.assert_close(iou.cpu(), expected, atol=1e-6, rtol=1e-5)


class TestRotatedBoxes:
    def test_basics(self):
        b = RotatedBoxes([[5, 6, 4, 2, 30], [1, 1, 0, 3, 0]])
        assert b.area().tolist() == [8, 0]
        assert b.nonempty().tolist() == [True, False]
        assert b.get_centers().tolist() == [[5, 6], [1, 1]]
        assert b[0].tensor.shape == (1, 5)
        assert len(RotatedBoxes([])) == 0
        assert len(RotatedBoxes.cat([b, b[:1]])) == 3
        assert RotatedBoxes.cat([]).tensor.shape == (0, 5)
        assert [t.shape for t in b] == [(5,), (5,)]
        with pytest.raises(ValueError, match=r"\(N, 5\), got \(2, 4\)"):
            RotatedBoxes(torch.zeros(2, 4))
        with pytest.raises(IndexError):
            b[torch.tensor(0)]

    def test_normalize_angles(self):
        b = RotatedBoxes([[0, 0, 1, 1, a] for a in (0, 180, -180, 190, -190, 360, 725)])
        b.normalize_angles()
        assert b.tensor[:, 4].tolist() == [0, -180, -180, -170, 170, 0, 5]

    def test_clip(self):
        b = RotatedBoxes([[5, 5, 20, 4, 0.5], [5, 5, 20, 4, 30], [5, 5, 20, 4, 360], [-20, 5, 4, 4, 0]])
        b.clip((8, 12))
        assert b.tensor.tolist() == [
            [6, 5, 12, 4, 0.5],
            [5, 5, 20, 4, 30],
            [6, 5, 12, 4, 0],
            [0, 5, 0, 4, 0],
        ]

    def test_inside_box(self):
        thin = [[10, 10, 18, 2, 90], [10, 16, 18, 2, 90]]
        b = RotatedBoxes([[10, 10, 10, 10, 0], [10, 10, 10, 10, 45], *thin])
        assert b.inside_box((20, 17)).tolist() == [True, False, True, False]
        assert b.inside_box((20, 17), boundary_threshold=6).tolist() == [True, True, True, True]

    def test_scale(self):
        b = RotatedBoxes([[2, 3, 4, 6, 0], [2, 3, 4, 6, 90], [2, 3, 4, 6, 30]])
        b.scale(2, 2)
        expected = torch.tensor([[4.0, 6, 8, 12, 0], [4, 6, 8, 12, 90], [4, 6, 8, 12, 30]])
        torch.testing.assert_close(b.tensor, expected)
        b.scale(1, 3)
        torch.testing.assert_close(b.tensor[:2], torch.tensor([[4.0, 18, 8, 36, 0], [4, 18, 24, 12, 90]]))
        # The sides of a parallelogram, for the third.
        c, s = math.cos(math.pi / 6), math.sin(math.pi / 6)
        assert b.tensor[2, 2].item() == pytest.approx(8 * math.hypot(c, 3 * s), rel=1e-5)
        assert b.tensor[2, 3].item() == pytest.approx(12 * math.hypot(s, 3 * c), rel=1e-5)
        assert b.tensor[2, 4].item() == pytest.approx(math.degrees(math.atan2(s, 3 * c)), rel=1e-5)

    def test_pairwise(self):
        a = RotatedBoxes(random_boxes(4, 0))
        assert torch.equal(rotated_boxes.pairwise_iou(a, a), pairwise_iou_rotated(a.tensor, a.tensor))
