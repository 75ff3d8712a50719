"""Points of maps, boxes and masks, against the same written plainly, image by image."""

import pytest
import torch
import torch.nn.functional as F

from lazycfg import modeling
from lazycfg.modeling import (
    generate_regular_grid_point_coords,
    get_point_coords_wrt_image,
    get_uncertain_point_coords_on_grid,
    get_uncertain_point_coords_with_randomness,
    point_sample,
    point_sample_fine_grained_features,
    sample_point_labels,
)
from lazycfg.structures import BitMasks, Boxes, Instances, PolygonMasks
from lazycfg.structures.bit_masks import IndexedBitMasks
from lazycfg.utils import SyncCounter

BOXES = [
    Boxes([[3.0, 4.0, 40.0, 30.0], [-5.0, 0.0, 70.0, 50.0], [10.0, 10.0, 10.0, 10.0]]),
    Boxes(torch.zeros(0, 4)),
    Boxes([[20.0, 1.0, 60.0, 45.0]]),
]


def test_sampling_at_the_centres_of_pixels_gives_the_pixels() -> None:
    maps = torch.randn(2, 3, 5, 5)
    grid = generate_regular_grid_point_coords(2, 5, "cpu")
    torch.testing.assert_close(point_sample(maps, grid), maps.flatten(2))
    square = point_sample(maps, grid.view(2, 5, 5, 2))
    torch.testing.assert_close(square, maps)
    assert grid[0, :2].tolist() == [
        [pytest.approx(0.1), pytest.approx(0.1)],
        [pytest.approx(0.3), pytest.approx(0.1)],
    ]


def test_half_precision_keeps_the_place_of_points() -> None:
    maps = torch.arange(2048.0).view(1, 1, 1, 2048).bfloat16()
    points = torch.tensor([[[2000.5 / 2048, 0.5]]])
    out = point_sample(maps, points)
    assert out.dtype == torch.bfloat16
    assert out.item() == maps[0, 0, 0, 2000].item()


@pytest.mark.parametrize("rows", [[0, 1, 2], [0, 0], [1], [2, 0]], ids=str)
def test_features_of_boxes_equal_those_taken_image_by_image(rows: list[int]) -> None:
    boxes = [BOXES[i] for i in rows]
    maps = [torch.randn(len(rows), 4, 16, 24), torch.randn(len(rows), 2, 8, 12)]
    scales = [1 / 4, 1 / 8]
    points = torch.rand(sum(len(b) for b in boxes), 7, 2)
    features, absolute = point_sample_fine_grained_features(maps, scales, boxes, points)
    expected, start = [], 0
    for i, own in enumerate(boxes):
        place = get_point_coords_wrt_image(own.tensor, points[start : start + len(own)])
        torch.testing.assert_close(absolute[start : start + len(own)], place)
        start += len(own)
        parts = [
            F.grid_sample(
                m[i : i + 1], place[None] / torch.tensor([m.shape[3] / s, m.shape[2] / s]) * 2 - 1,
                align_corners=False,
            )[0].transpose(0, 1)
            for m, s in zip(maps, scales, strict=True)
        ]  # fmt: skip
        expected.append(torch.cat(parts, dim=1))
    assert features.shape == (len(points), 6, 7)
    torch.testing.assert_close(features, torch.cat(expected))


def test_features_pass_the_gradient_on() -> None:
    maps = torch.randn(3, 4, 16, 24, requires_grad=True)
    features, _ = point_sample_fine_grained_features([maps], [1 / 4], BOXES, torch.rand(4, 5, 2))
    features.sum().backward()
    assert [bool(g.any()) for g in maps.grad] == [True, False, True]


def masks_of(sizes: list[tuple[int, int]], counts: list[int]) -> list[Instances]:
    generator = torch.Generator().manual_seed(2)
    instances = []
    for size, count in zip(sizes, counts, strict=True):
        x = Instances(size)
        x.gt_masks = BitMasks(torch.rand(count, *size, generator=generator) > 0.4)
        instances.append(x)
    return instances


def test_labels_equal_a_bilinear_reading_of_the_masks() -> None:
    instances = masks_of([(9, 14), (12, 6), (5, 5)], [2, 0, 3])
    # proposals that share a mask, as those matched to one object do
    instances[2].gt_masks = IndexedBitMasks(instances[2].gt_masks.tensor, torch.tensor([2, 0, 2]))
    points = torch.rand(5, 30, 2) * torch.tensor([18.0, 12.0]) - 2
    points[0, 0] = torch.tensor([float("nan"), 3.0])
    points[0, 1] = torch.tensor([float("inf"), -1e30])
    got = sample_point_labels(instances, points)
    expected = []
    for x, own in zip([instances[0], instances[2]], points.split([2, 3]), strict=True):
        h, w = x.image_size
        grid = own[:, :, None] / torch.tensor([w, h]) * 2 - 1
        expected.append(
            F.grid_sample(x.gt_masks.tensor[:, None].float(), grid, align_corners=False)[:, 0, :, 0]
        )
    torch.testing.assert_close(got[:, 2:], torch.cat(expected)[:, 2:])
    assert not got[0, :2].any()
    assert ((got == 0) | (got == 1)).float().mean() < 0.9  # in between, too


def test_labels_of_nothing() -> None:
    assert sample_point_labels([], torch.zeros(0, 4, 2)).shape == (0, 4)
    assert sample_point_labels(masks_of([(4, 4)], [0]), torch.zeros(0, 4, 2)).shape == (0, 4)


def test_labels_are_refused_of_polygons_and_of_no_masks() -> None:
    x = Instances((4, 4), gt_masks=PolygonMasks([[[0, 0, 2, 0, 2, 2]]]))
    with pytest.raises(ValueError, match="instance_mask_format=bitmask"):
        sample_point_labels([x], torch.zeros(1, 3, 2))
    with pytest.raises(ValueError, match="no 'gt_masks'"):
        sample_point_labels([Instances((4, 4), gt_classes=torch.zeros(1))], torch.zeros(1, 3, 2))


def test_most_uncertain_pixels() -> None:
    certainty = torch.tensor([[[[0.0, -1, -5], [-9, -7, -8]]]])
    index, points = get_uncertain_point_coords_on_grid(certainty, 3)
    assert index.tolist() == [[0, 1, 2]]
    torch.testing.assert_close(points[0], torch.tensor([[1 / 6, 0.25], [0.5, 0.25], [5 / 6, 0.25]]))
    index, _ = get_uncertain_point_coords_on_grid(certainty, 100)
    assert sorted(index[0].tolist()) == [0, 1, 2, 3, 4, 5]


def test_drawn_points_are_uncertain_in_part() -> None:
    ramp = torch.linspace(-1, 1, 64).view(1, 1, 1, 64).expand(3, 1, 64, 64)
    torch.manual_seed(0)
    points = get_uncertain_point_coords_with_randomness(ramp, lambda x: -x.abs(), 100, 5, 0.75)
    assert points.shape == (3, 100, 2)
    far = (points[:, :75, 0] - 0.5).abs()
    assert far.max() < 0.15  # 75 of 500: the 15 % in the middle, more or less
    assert (points[:, 75:, 0] - 0.5).abs().max() > 0.4
    torch.manual_seed(0)
    first = torch.rand(3, 500, 2)
    rest = torch.rand(3, 25, 2)
    torch.testing.assert_close(points[:, 75:], rest)
    assert all(p in first[0].tolist() for p in points[0, :75].tolist())


@pytest.mark.parametrize(("share", "oversample"), [(0.0, 1), (1.0, 3)])
def test_all_points_drawn_one_way(share: float, oversample: float) -> None:
    logits = torch.randn(2, 1, 8, 8)
    points = get_uncertain_point_coords_with_randomness(logits, lambda x: -x.abs(), 10, oversample, share)
    assert points.shape == (2, 10, 2)
    empty = get_uncertain_point_coords_with_randomness(logits[:0], lambda x: -x.abs(), 10, oversample, share)
    assert empty.shape == (0, 10, 2)


@pytest.mark.parametrize(("share", "oversample"), [(1.1, 3), (-0.1, 3), (0.5, 0.9)])
def test_ratios_that_cannot_be(share: float, oversample: float) -> None:
    with pytest.raises(ValueError, match="_ratio must be"):
        get_uncertain_point_coords_with_randomness(
            torch.zeros(1, 1, 2, 2), lambda x: x, 10, oversample, share
        )


@pytest.mark.parametrize("counts", [[3], [3, 3], [0, 3, 1, 5, 2]], ids=str)
def test_nothing_waits_and_nothing_loops(counts: list[int]) -> None:
    boxes = [Boxes(torch.rand(n, 4) * 8 + torch.tensor([0.0, 0, 8, 8])) for n in counts]
    instances = masks_of([(16, 20)] * len(counts), counts)
    maps, points = torch.randn(len(counts), 4, 8, 8), torch.rand(sum(counts), 7, 2)
    with SyncCounter() as counter:
        _, absolute = point_sample_fine_grained_features([maps], [0.5], boxes, points)
        sample_point_labels(instances, absolute)
    assert counter.num_syncs == 0, counter.waits()
    assert counter.ops["aten.grid_sampler_2d"] == 1
    assert counter.num_ops < 75


def test_they_are_part_of_the_library() -> None:
    assert {"point_sample", "sample_point_labels"} <= set(modeling.__all__)
