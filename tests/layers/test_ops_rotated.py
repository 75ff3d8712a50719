import math
from importlib import import_module

import pytest
import torch

from lazycfg.layers.nms import batched_nms, batched_nms_rotated, nms_rotated
from lazycfg.layers.roi_align import ROIAlign
from lazycfg.layers.roi_align_rotated import ROIAlignRotated, roi_align_rotated
from lazycfg.layers.rotated_boxes import pairwise_iou_rotated


def random_boxes(n, seed, extent=100.0):
    g = torch.Generator().manual_seed(seed)
    scale = torch.tensor([extent, extent, 30, 30, 360.0])
    return torch.rand(n, 5, generator=g) * scale + torch.tensor([0, 0, 2.0, 2.0, -180])


def greedy(boxes, scores, idxs, threshold):
    """One box after the other, from the matrix of overlaps."""
    over = (pairwise_iou_rotated(boxes, boxes) > threshold) & (idxs[:, None] == idxs)
    kept = []
    for i in scores.argsort(descending=True).tolist():
        if not any(over[j, i] for j in kept):
            kept.append(i)
    return kept


class TestNMS:
    @pytest.mark.parametrize("threshold", [0.1, 0.4, 0.8])
    @pytest.mark.parametrize("groups", [1, 5])
    def test_greedy(self, threshold, groups):
        g = torch.Generator().manual_seed(groups)
        boxes, scores = random_boxes(300, groups), torch.rand(300, generator=g)
        idxs = torch.randint(groups, (300,), generator=g)
        kept = batched_nms_rotated(boxes, scores, idxs, threshold)
        assert kept.tolist() == greedy(boxes, scores, idxs, threshold)
        if groups == 1:
            assert torch.equal(kept, nms_rotated(boxes, scores, threshold))

    def test_chunks_change_nothing(self, monkeypatch):
        boxes, scores = random_boxes(200, 0), torch.rand(200)
        whole = nms_rotated(boxes, scores, 0.3)
        monkeypatch.setattr(import_module("lazycfg.layers.nms"), "_CHUNK_PAIRS", 1000)
        assert torch.equal(nms_rotated(boxes, scores, 0.3), whole)

    def test_a_chain(self):
        """Each box overlaps the next only: every second one stays, decided one after the other."""
        n = 40
        boxes = torch.tensor([[i * 3.0, 0, 4, 4, 0] for i in range(n)])
        scores = torch.arange(n, 0, -1).float()
        assert nms_rotated(boxes, scores, 0.1).tolist() == list(range(0, n, 2))

    @pytest.mark.parametrize("angle", [0, 90, 180, 270])
    def test_right_angles_equal_upright_boxes(self, angle):
        boxes, scores, idxs = random_boxes(300, 3), torch.rand(300), torch.randint(4, (300,))
        boxes[:, 4] = angle
        half = boxes[:, 2:4] / 2 if angle % 180 == 0 else boxes[:, [3, 2]] / 2
        upright = torch.cat((boxes[:, :2] - half, boxes[:, :2] + half), dim=1)
        expected = batched_nms(upright, scores, idxs, 0.3)
        assert torch.equal(batched_nms_rotated(boxes, scores, idxs, 0.3), expected)

    def test_nothing(self):
        assert nms_rotated(torch.zeros(0, 5), torch.zeros(0), 0.5).shape == (0,)
        with pytest.raises(ValueError, match=r"\(N, 5\)"):
            nms_rotated(torch.zeros(3, 4), torch.zeros(3), 0.5)


def pool_by_loops(x, rois, size, scale, ratio):
    """The definition, sample by sample."""

    def bilinear(plane, y, x):
        height, width = plane.shape[1:]
        if y < -1 or y > height or x < -1 or x > width:
            return torch.zeros(len(plane), dtype=plane.dtype)
        y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
        y0, x0 = int(y), int(x)
        y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
        v, u = y - y0, x - x0
        top = plane[:, y0, x0] * (1 - u) + plane[:, y0, x1] * u
        return top * (1 - v) + (plane[:, y1, x0] * (1 - u) + plane[:, y1, x1] * u) * v

    out = torch.zeros(len(rois), x.shape[1], *size, dtype=x.dtype)
    for r, (b, xc, yc, w, h, angle) in enumerate(rois.tolist()):
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        w, h = w * scale, h * scale
        gy = ratio or math.ceil(h / size[0])
        gx = ratio or math.ceil(w / size[1])
        for p in range(size[0]):
            for q in range(size[1]):
                for i in range(gy):
                    for j in range(gx):
                        v = -h / 2 + (p + (i + 0.5) / gy) * h / size[0]
                        u = -w / 2 + (q + (j + 0.5) / gx) * w / size[1]
                        y = v * c - u * s + yc * scale - 0.5
                        z = v * s + u * c + xc * scale - 0.5
                        out[r, :, p, q] += bilinear(x[int(b)], y, z) / (gy * gx)
    return out


def random_rois(n, seed, images=2):
    g = torch.Generator().manual_seed(seed)
    boxes = random_boxes(n, seed, extent=40.0).double()
    return torch.cat((torch.randint(images, (n, 1), generator=g).double(), boxes), dim=1)


class TestROIAlignRotated:
    @pytest.mark.parametrize("ratio", [0, 1, 2])
    def test_definition(self, ratio):
        g = torch.Generator().manual_seed(0)
        x = torch.rand(2, 3, 15, 20, generator=g, dtype=torch.float64)
        rois = random_rois(8, ratio)
        out = ROIAlignRotated((2, 3), 0.5, ratio)(x, rois)
        torch.testing.assert_close(out, pool_by_loops(x, rois, (2, 3), 0.5, ratio))

    @pytest.mark.parametrize("ratio", [0, 2])
    def test_angle_zero_equals_roi_align(self, ratio):
        x = torch.rand(2, 3, 25, 30)
        rois = random_rois(20, 1).float()
        rois[:, 5] = 0
        half = rois[:, 3:5] / 2
        upright = torch.cat((rois[:, :1], rois[:, 1:3] - half, rois[:, 1:3] + half), dim=1)
        expected = ROIAlign(7, 0.5, ratio, aligned=True)(x, upright)
        torch.testing.assert_close(ROIAlignRotated(7, 0.5, ratio)(x, rois), expected, atol=1e-5, rtol=1e-4)

    @pytest.mark.parametrize("ratio", [0, 2])
    def test_gradient(self, ratio):
        x = torch.rand(2, 2, 6, 7, dtype=torch.float64, requires_grad=True)
        rois = random_rois(5, 2)
        assert torch.autograd.gradcheck(lambda t: roi_align_rotated(t, rois, (2, 2), 0.2, ratio), (x,))

    def test_a_turn_of_the_image(self):
        """Turning the image and the region by a quarter gives the same cells."""
        x = torch.rand(1, 2, 20, 20)
        rois = torch.tensor([[0, 8.0, 6.0, 8, 4, 25]])
        turned = torch.tensor([[0, 6.0, 20 - 8.0, 8, 4, 25 + 90]])
        layer = ROIAlignRotated((2, 4), 1.0, 2)
        torch.testing.assert_close(layer(x.rot90(1, (2, 3)), turned), layer(x, rois), atol=1e-5, rtol=1e-5)

    def test_chunks_change_nothing(self, monkeypatch):
        x, rois = torch.rand(2, 2, 30, 30), random_rois(30, 4).float()
        for ratio in (0, 2):
            whole = roi_align_rotated(x, rois, (3, 3), 1.0, ratio)
            monkeypatch.setattr(import_module("lazycfg.layers.roi_align_rotated"), "_CHUNK_LOOKUPS", 1000)
            torch.testing.assert_close(roi_align_rotated(x, rois, (3, 3), 1.0, ratio), whole)
            monkeypatch.undo()

    def test_a_device_is_not_waited_for(self):
        """The meta device has no numbers to ask for."""
        x, rois = torch.zeros(2, 3, 8, 8, device="meta"), torch.zeros(5, 6, device="meta")
        assert ROIAlignRotated(7, 0.5, 2)(x, rois).shape == (5, 3, 7, 7)

    def test_regions_without_extent(self):
        x = torch.rand(1, 2, 8, 8)
        point = torch.tensor([[0, 4.0, 4, 0, 0, 30], [0, 4, 4, 4, 4, 30]])
        out = ROIAlignRotated(2, 1.0, 0)(x, point)
        assert not out[0].any()
        assert out[1].all()
        assert ROIAlignRotated(2, 1.0, 2)(x, point)[0].all()

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision(self, dtype):
        x, rois = torch.rand(1, 2, 20, 20).to(dtype), random_rois(4, 0, images=1).float()
        out = ROIAlignRotated(3, 0.5, 2)(x, rois)
        assert out.dtype == dtype
        assert torch.equal(out, ROIAlignRotated(3, 0.5, 2)(x.float(), rois).to(dtype))

    def test_nothing(self):
        x = torch.rand(1, 2, 8, 8, requires_grad=True)
        out = ROIAlignRotated(3, 1.0, 0)(x, torch.zeros(0, 6))
        assert out.shape == (0, 2, 3, 3)
        out.sum().backward()
        with pytest.raises(ValueError, match=r"\(R, 6\)"):
            ROIAlignRotated(3, 1.0, 0)(x, torch.zeros(3, 5))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu():
    boxes, scores, idxs = random_boxes(500, 0), torch.rand(500), torch.randint(3, (500,))
    expected = batched_nms_rotated(boxes, scores, idxs, 0.3)
    assert torch.equal(batched_nms_rotated(boxes.cuda(), scores.cuda(), idxs.cuda(), 0.3).cpu(), expected)
    x, rois = torch.rand(2, 8, 30, 30), random_rois(50, 0).float()
    for ratio in (0, 2):
        on_host, on_gpu = x.clone().requires_grad_(), x.cuda().requires_grad_()
        a = roi_align_rotated(on_host, rois, (7, 7), 0.5, ratio)
        b = roi_align_rotated(on_gpu, rois.cuda(), (7, 7), 0.5, ratio)
        torch.testing.assert_close(b.cpu(), a, atol=1e-5, rtol=1e-4)
        a.square().sum().backward()
        b.square().sum().backward()
        torch.testing.assert_close(on_gpu.grad.cpu(), on_host.grad, atol=1e-4, rtol=1e-4)
