import copy
import pickle

import pytest
import torch
import torch.nn.functional as F

from lazycfg.layers.mask_ops import pad_masks, scale_boxes
from lazycfg.structures import (
    BitMasks,
    Boxes,
    PolygonMasks,
    ROIMasks,
    paste_masks_in_boxes,
    paste_masks_in_image,
    pasting,
)


def random_masks(n=5, h=20, w=30, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(n, h, w, generator=g) > 0.5


class TestIndexedBitMasks:
    """Masks that several objects share are masks like others."""

    INDEX = torch.tensor([4, 0, 0, 2])

    def test_equal_to_copied_rows(self):
        source = BitMasks(random_masks())
        shared, copied = source.take(self.INDEX), source[self.INDEX]
        assert isinstance(shared, BitMasks)
        assert len(shared) == 4
        assert shared.shared()[0] is source.tensor  # nothing copied yet
        boxes = torch.tensor([[1.0, 2, 18, 15]] * 4)
        assert torch.equal(shared.crop_and_resize(boxes, 7), copied.crop_and_resize(boxes, 7))
        rows = torch.tensor([3, 1])
        assert torch.equal(
            shared.crop_and_resize(boxes[:2], 7, rows), copied.crop_and_resize(boxes[:2], 7, rows)
        )
        for item in (slice(1, 3), rows, torch.tensor([True, False, True, True]), [0, 2], 1):
            assert torch.equal(shared[item].tensor, copied[item].tensor)
        assert torch.equal(shared.take(rows).tensor, copied.tensor[rows])
        assert torch.equal(shared.to("cpu").tensor, copied.tensor)
        assert torch.equal(BitMasks.cat([shared, source]).tensor, BitMasks.cat([copied, source]).tensor)
        assert torch.equal(shared.area(), copied.area())
        assert torch.equal(copy.deepcopy(shared).tensor, copied.tensor)
        assert torch.equal(pickle.loads(pickle.dumps(shared)).tensor, copied.tensor)

    def test_edits_count(self):
        source = BitMasks(random_masks())
        shared = source.take(self.INDEX)
        shared.tensor[0] = False
        assert not shared[0].tensor.any()
        assert not shared[[0, 1]].tensor[0].any()
        assert not shared.take(torch.tensor([0])).tensor.any()
        assert not shared.crop_and_resize(torch.tensor([[0.0, 0, 30, 20]] * 4), 5)[0].any()
        assert source.tensor[4].any()  # the source is another tensor
        shared.tensor = source.tensor[:1]
        assert len(shared) == 1
        assert torch.equal(shared.shared()[0], source.tensor[:1])


class TestBitMasks:
    def test_basics(self):
        masks = BitMasks(random_masks())
        assert len(masks) == 5
        assert masks.image_size == (20, 30)
        assert torch.equal(masks.area(), masks.tensor.sum((1, 2)))
        assert torch.equal(BitMasks.cat([masks, masks[:2]]).tensor[5:], masks.tensor[:2])
        assert BitMasks(masks.tensor.numpy().astype("uint8")).tensor.dtype == torch.bool
        assert BitMasks([[[0, 2]]]).tensor.tolist() == [[[False, True]]]
        with pytest.raises(ValueError, match=r"\(N, H, W\), got \(20, 30\)"):
            BitMasks(masks.tensor[0])

    def test_indexing(self):
        masks = BitMasks(random_masks())
        assert masks[1].tensor.shape == (1, 20, 30)
        keep = torch.tensor([True, False, False, False, True])
        assert torch.equal(masks[keep].tensor, masks.tensor[[0, 4]])
        assert [m.shape for m in masks] == [(20, 30)] * 5
        with pytest.raises(IndexError):
            masks[torch.tensor(1)]

    def test_bounding_boxes(self):
        tensor = torch.zeros(3, 10, 12, dtype=torch.bool)
        tensor[0, 2:5, 3:4] = True
        tensor[0, 8, 11] = True
        tensor[2, 0, 0] = True
        masks = BitMasks(tensor)
        assert masks.get_bounding_boxes().tensor.tolist() == [[3, 2, 12, 9], [0, 0, 0, 0], [0, 0, 1, 1]]
        assert masks.nonempty().tolist() == [True, False, True]
        assert BitMasks(torch.zeros(0, 4, 4)).get_bounding_boxes().tensor.shape == (0, 4)
        assert len(BitMasks(torch.zeros(0, 4, 4)).nonempty()) == 0

    def test_crop_and_resize(self):
        tensor = torch.zeros(2, 40, 40, dtype=torch.bool)
        tensor[0, 10:20, 10:20] = True
        tensor[1, :, :20] = True
        masks = BitMasks(tensor)
        boxes = torch.tensor([[10.0, 10, 20, 20], [0, 0, 40, 40]])
        out = masks.crop_and_resize(boxes, 8)
        assert out.dtype == torch.bool
        assert out[0].all()
        assert out[1, :, :4].all()
        assert not out[1, :, 4:].any()
        again = masks.crop_and_resize(boxes[[1, 0, 1]], 8, indices=torch.tensor([1, 0, 1]))
        assert torch.equal(again, out[[1, 0, 1]])
        assert masks[:0].crop_and_resize(boxes[:0], 8).shape == (0, 8, 8)
        with pytest.raises(ValueError, match=r"expected boxes \(2, 4\)"):
            masks.crop_and_resize(boxes[:1], 8)

    def test_crop_of_bits_is_near_the_crop_of_polygons(self):
        polygons = PolygonMasks([[torch.tensor([5.0, 4, 33, 9, 30, 36, 8, 30])]])
        boxes = torch.tensor([[4.0, 4, 34, 36]])
        bits = BitMasks.from_polygon_masks(polygons, 40, 40)
        differ = bits.crop_and_resize(boxes, 28) ^ polygons.crop_and_resize(boxes, 28)
        assert differ.float().mean() < 0.03


def one_on_the_whole_image(mask, box, height, width):
    """The definition: sample the mask at every pixel of the image; nothing beyond a pixel from the box."""
    x0, y0, x1, y1 = box
    xs, ys = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    gx, gy = (xs - x0) / (x1 - x0) * 2 - 1, (ys - y0) / (y1 - y0) * 2 - 1
    grid = torch.stack((gx.expand(height, width), gy[:, None].expand(height, width)), dim=2)
    out = F.grid_sample(mask[None, None], grid[None], align_corners=False)[0, 0]
    near_x = (xs > x0.floor() - 1) & (xs < x1.ceil() + 1)
    near_y = (ys > y0.floor() - 1) & (ys < y1.ceil() + 1)
    return out * (near_x & near_y[:, None])


class TestPasting:
    def case(self, n=30, height=60, width=90):
        g = torch.Generator().manual_seed(1)
        corner = torch.rand(n, 2, generator=g) * 120 - 30
        boxes = torch.cat((corner, corner + torch.rand(n, 2, generator=g) * 60 + 0.3), dim=1)
        masks = F.avg_pool2d(torch.rand(n, 1, 28, 28, generator=g), 3, 1, 1)[:, 0]
        return masks, boxes, (height, width)

    @pytest.mark.parametrize("threshold", [0.5, 0.3])
    def test_pixels(self, threshold):
        masks, boxes, size = self.case()
        out = paste_masks_in_image(masks, Boxes(boxes), size, threshold)
        assert out.dtype == torch.bool
        assert out.any()
        for mask, box, pasted in zip(masks, boxes, out, strict=True):
            assert torch.equal(pasted, one_on_the_whole_image(mask, box, *size) >= threshold)

    def test_soft(self):
        masks, boxes, size = self.case()
        out = paste_masks_in_image(masks, boxes, size, threshold=-1)
        assert out.dtype == torch.uint8
        for mask, box, pasted in zip(masks, boxes, out, strict=True):
            assert torch.equal(pasted, (one_on_the_whole_image(mask, box, *size) * 255).to(torch.uint8))

    def test_crops_are_the_same_pixels(self):
        masks, boxes, size = self.case()
        whole = paste_masks_in_image(masks, boxes, size)
        for crop, mask in zip(paste_masks_in_boxes(masks, boxes, size), whole, strict=True):
            again = torch.zeros_like(mask)
            h, w = crop.mask.shape
            again[crop.y0 : crop.y0 + h, crop.x0 : crop.x0 + w] = crop.mask
            assert torch.equal(again, mask)

    def test_the_way_of_a_device(self, monkeypatch):
        """The dense form draws the same; it is reached on the host by asking for no crops."""
        masks, boxes, (height, width) = self.case()
        axis_x, axis_y = pasting._sampling_axes(boxes, height, width)
        size = (len(masks), height, width)
        grid = torch.stack((axis_x[:, None].expand(size), axis_y[:, :, None].expand(size)), dim=3)
        dense = F.grid_sample(masks[:, None], grid, align_corners=False)[:, 0] >= 0.5
        assert torch.equal(dense, paste_masks_in_image(masks, boxes, (height, width)))
        assert paste_masks_in_image(masks.to("meta"), boxes.to("meta"), (height, width)).shape == size

    def test_degenerate_boxes(self):
        boxes = torch.tensor(
            [[5.0, 5, 5, 9], [200, 200, 300, 300], [-50, -50, -10, -10], [float("nan")] * 4, [0, 0, 1e9, 1e9]]
        )
        out = paste_masks_in_image(torch.ones(5, 28, 28), boxes, (20, 20))
        assert out.flatten(1).sum(1).tolist()[:4] == [0, 0, 0, 0]

    def test_none(self):
        assert paste_masks_in_image(torch.zeros(0, 28, 28), torch.zeros(0, 4), (6, 7)).shape == (0, 6, 7)
        assert paste_masks_in_boxes(torch.zeros(0, 28, 28), torch.zeros(0, 4), (6, 7)) == []
        with pytest.raises(ValueError, match=r"\(2, 28, 28\) and \(3, 4\)"):
            paste_masks_in_image(torch.zeros(2, 28, 28), torch.zeros(3, 4), (6, 7))

    def test_half_precision(self):
        masks, boxes, size = self.case()
        half = masks.bfloat16()
        expected = paste_masks_in_image(half.float(), boxes, size)
        assert torch.equal(paste_masks_in_image(half, boxes, size), expected)

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    def test_gpu(self, monkeypatch):
        masks, boxes, size = self.case()
        expected = paste_masks_in_image(masks, boxes, size)
        monkeypatch.setattr(pasting, "_CHUNK_PIXELS", size[0] * size[1] * 7)
        masks, boxes = masks.cuda(), boxes.cuda()
        torch.cuda.set_sync_debug_mode("error")
        try:
            out = paste_masks_in_image(masks, boxes, size)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert (out.cpu() != expected).float().mean() < 1e-5


class TestROIMasks:
    def test_container(self):
        masks = ROIMasks(torch.rand(4, 28, 28))
        assert len(masks) == 4
        assert masks[2].tensor.shape == (1, 28, 28)
        assert len(masks[torch.tensor([True, False, True, False])]) == 2
        assert len(ROIMasks.cat([masks, masks])) == 8
        with pytest.raises(ValueError, match=r"\(N, M, M\)"):
            ROIMasks(torch.zeros(4, 1, 28, 28))

    def test_to_bitmasks(self):
        boxes = torch.tensor([[2.0, 3, 10, 9], [0, 0, 4, 4]])
        bits = ROIMasks(torch.ones(2, 28, 28)).to_bitmasks(boxes, 12, 16)
        assert isinstance(bits, BitMasks)
        assert bits.get_bounding_boxes().tensor.tolist() == boxes.tolist()
        assert bits.area().tolist() == [48, 16]
        again = BitMasks.from_roi_masks(torch.ones(2, 28, 28), Boxes(boxes), 12, 16)
        assert torch.equal(again.tensor, bits.tensor)


def test_pad_and_scale():
    masks = torch.rand(2, 4, 4)
    padded, scale = pad_masks(masks, 1)
    assert padded.shape == (2, 6, 6)
    assert torch.equal(padded[:, 1:-1, 1:-1], masks)
    assert padded.sum() == pytest.approx(masks.sum())
    assert scale == 1.5
    assert scale_boxes(torch.tensor([[2.0, 4, 6, 8]]), scale).tolist() == [[1, 3, 7, 9]]
