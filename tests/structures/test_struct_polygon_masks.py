import numpy as np
import pytest
import torch

from lazycfg.structures import (
    BitMasks,
    PolygonMasks,
    polygons_to_bitmask,
    rasterize_polygons_within_box,
)
from lazycfg.structures.rasterize import _crossings, pack_polygons, rasterize_images

mask_api = pytest.importorskip("faster_coco_eval.core.mask")

SQUARE = np.array([2.0, 3, 8, 3, 8, 9, 2, 9])


def by_coco_tools(polygons, height, width):
    if len(polygons) == 0:
        return np.zeros((height, width), bool)
    rles = mask_api.frPyObjects([p.tolist() for p in polygons], height, width)
    return mask_api.decode(mask_api.merge(rles)).astype(bool)


def in_box_by_coco_tools(polygons, box, size):
    """Shift and stretch in float64 by a ratio of float32, as the reference does with numpy 2."""
    ratio = [size / max(box[i + 2] - box[i], 0.1) for i in (0, 1)]
    moved = [((p.reshape(-1, 2) - box[:2]) * np.array(ratio, dtype=np.float64)).reshape(-1) for p in polygons]
    return by_coco_tools(moved, size, size)


def random_polygon(rng, far=5000):
    """Of many kinds: inside, across the border, on the grid, tiny, huge, degenerate, star-shaped."""
    k = rng.integers(3, 40)
    kind = rng.integers(10)
    if kind == 0:
        points = rng.uniform(0, 60, (k, 2))
    elif kind == 1:
        points = rng.uniform(-80, 140, (k, 2))
    elif kind == 2:
        points = rng.integers(0, 60, (k, 2)).astype(float)
    elif kind == 3:
        points = rng.uniform(20, 22, (k, 2))
    elif kind == 4:
        points = rng.uniform(-far, far, (k, 2))
    elif kind == 5:
        points = np.repeat(rng.uniform(0, 60, (1, 2)), k, axis=0)
    elif kind == 6:
        points = np.repeat(rng.integers(0, 60, (3, 2)), 2, axis=0).astype(float)
    elif kind == 7:
        angle = np.sort(rng.uniform(0, 2 * np.pi, k))
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        points = rng.uniform(10, 50, 2) + rng.uniform(2, 40) * circle
    elif kind == 8:
        points = np.round(rng.uniform(-10, 70, (k, 2)) * 5) / 5 + 0.1
    else:
        points = np.round(rng.uniform(-10, 70, (k, 2)) * 2) / 2
    return points.reshape(-1)


def random_objects(rng, n, far=5000):
    return [[random_polygon(rng, far) for _ in range(rng.choice([0, 1, 1, 1, 2, 5]))] for _ in range(n)]


@pytest.mark.parametrize("seed", range(20))
def test_images_equal_the_coco_tools(seed):
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(1, 90, 2))
    objects = random_objects(rng, 50)
    masks = BitMasks.from_polygon_masks(PolygonMasks(objects), height, width)
    assert masks.image_size == (height, width)
    for polygons, mask in zip(objects, masks, strict=True):
        assert np.array_equal(mask.numpy(), by_coco_tools(polygons, height, width))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("size", [28, 14])
def test_boxes_equal_the_coco_tools(seed, size):
    rng = np.random.default_rng(seed)
    objects = random_objects(rng, 50, far=300)
    corner = rng.uniform(-10, 60, (50, 2))
    extent = rng.uniform(0, 60, (50, 2)) * rng.choice([0, 1e-3, 0.1, 1, 1, 1, 10], (50, 1))
    boxes = np.concatenate((corner, corner + extent), axis=1).astype(np.float32)
    masks = PolygonMasks(objects).crop_and_resize(torch.from_numpy(boxes), size)
    assert masks.dtype == torch.bool
    for polygons, box, mask in zip(objects, boxes, masks, strict=True):
        assert np.array_equal(mask.numpy(), in_box_by_coco_tools(polygons, box, size))


def test_one_at_a_time():
    rng = np.random.default_rng(0)
    polygons = [random_polygon(rng), random_polygon(rng)]
    assert np.array_equal(polygons_to_bitmask(polygons, 50, 40), by_coco_tools(polygons, 50, 40))
    assert not polygons_to_bitmask([], 5, 4).any()
    box = np.array([5, 6, 40, 50], dtype=np.float32)
    mask = rasterize_polygons_within_box(polygons, box, 28)
    assert np.array_equal(mask.numpy(), in_box_by_coco_tools(polygons, box, 28))


def test_the_form_for_narrow_masks_on_a_device():
    """Every edge with every column, where asking for the number of meetings would wait for the device."""
    packed = pack_polygons(random_objects(np.random.default_rng(0), 50))
    *sparse, ones = _crossings(packed.points, packed.following, 28, 28, dense=False)
    edge, column, row, count = torch.broadcast_tensors(
        *_crossings(packed.points, packed.following, 28, 28, dense=True)
    )
    assert edge.shape == (len(packed.points), 28)
    assert ones.all()
    for found, expected in zip((edge, column, row), sparse, strict=True):
        assert torch.equal(found[count > 0], expected)


def test_a_device_is_not_waited_for():
    """The meta device has no numbers to ask for."""
    masks = PolygonMasks(random_objects(np.random.default_rng(0), 20))
    assert masks.crop_and_resize(torch.zeros(20, 4, device="meta"), 28).shape == (20, 28, 28)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_draws_the_same():
    rng = np.random.default_rng(0)
    masks = PolygonMasks(random_objects(rng, 300))
    corner = torch.from_numpy(rng.uniform(-10, 60, (300, 2))).float()
    boxes = torch.cat((corner, corner + torch.from_numpy(rng.uniform(0.01, 60, (300, 2))).float()), dim=1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        on_gpu = masks.crop_and_resize(boxes_gpu := boxes.pin_memory().cuda(non_blocking=True), 28)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert boxes_gpu.is_cuda
    assert torch.equal(on_gpu.cpu(), masks.crop_and_resize(boxes, 28))
    wide = masks.crop_and_resize(boxes.cuda(), 100)
    assert torch.equal(wide.cpu(), masks.crop_and_resize(boxes, 100))


def test_shared_objects():
    masks = PolygonMasks([[SQUARE], [SQUARE + 10, SQUARE]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 20, 20], [2, 3, 8, 9]])
    out = masks.crop_and_resize(boxes, 10, indices=torch.tensor([0, 1, 0]))
    assert out[2].all()
    assert out[0].sum() == 36
    assert torch.equal(out[1], masks[1].crop_and_resize(boxes[1:2], 10)[0])
    with pytest.raises(ValueError, match=r"expected boxes \(2, 4\), got \(3, 4\)"):
        masks.crop_and_resize(boxes, 10)


def test_no_objects():
    none = PolygonMasks([])
    assert none.crop_and_resize(torch.zeros(0, 4), 28).shape == (0, 28, 28)
    assert rasterize_images(pack_polygons([]), 4, 5).shape == (0, 4, 5)
    assert none.area().shape == (0,)
    assert none.get_bounding_boxes().tensor.shape == (0, 4)
    assert len(none.nonempty()) == 0


def test_area_and_boxes():
    masks = PolygonMasks([[SQUARE, SQUARE[::-1].copy() + 20], [], [np.array([0.0, 0, 4, 0, 0, 3])]])
    assert masks.area().tolist() == [72, 0, 6]
    assert masks.nonempty().tolist() == [True, False, True]
    assert masks.get_bounding_boxes().tensor.tolist() == [
        [2, 3, 29, 28],
        [float("inf"), float("inf"), 0, 0],
        [0, 0, 4, 3],
    ]


def test_indexing():
    masks = PolygonMasks([[SQUARE + i] for i in range(4)])

    def first(m):
        return [p[0][0] - 2 for p in m]

    assert first(masks[1]) == [1]
    assert first(masks[-1]) == [3]
    assert first(masks[1:3]) == [1, 2]
    assert first(masks[[3, 0]]) == [3, 0]
    assert first(masks[torch.tensor([2, 2])]) == [2, 2]
    assert first(masks[torch.tensor([True, False, False, True])]) == [0, 3]
    assert first(masks[np.array([False, True, False, False])]) == [1]
    assert len(masks[[]]) == 0
    assert first(PolygonMasks.cat([masks, masks[:1]])) == [0, 1, 2, 3, 0]
    assert masks.to("meta") is masks
    with pytest.raises(IndexError):
        masks[torch.tensor([True])]
    with pytest.raises(IndexError):
        masks[4]


def test_construction():
    masks = PolygonMasks([[[0, 0, 1, 0, 1, 1]], [torch.zeros(3, 2)]])
    assert all(p.dtype == np.float64 for polygons in masks for p in polygons)
    with pytest.raises(ValueError, match="object 1, polygon 0: cannot create a polygon from 4 coordinates"):
        PolygonMasks([[SQUARE], [np.zeros(4)]])
    with pytest.raises(ValueError, match="from 7 coordinates"):
        PolygonMasks([[np.zeros(7)]])
    with pytest.raises(ValueError, match="expected a list of objects"):
        PolygonMasks(np.zeros((2, 8)))
    with pytest.raises(ValueError, match="object 0: expected a list of polygons, got ndarray"):
        PolygonMasks([SQUARE])
