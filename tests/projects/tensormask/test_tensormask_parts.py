"""The parts of TensorMask against their definitions, written out."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg.layers import ShapeSpec
from lazycfg.projects.tensormask import (
    SwapAlign2Nat,
    TensorMaskAnchorGenerator,
    TensorMaskHead,
    assign_anchors,
    focal_star_loss,
    swap_align2nat,
    swap_align2nat_at,
)


def sampled(x: torch.Tensor, scale: int, pad: float, place: tuple[int, ...]) -> float:
    """One value of swap_align2nat of (V * V, H, W), tap by tap."""
    channels, height, width = x.shape
    side = math.isqrt(channels)
    row, column, v, u = place
    fine = side * scale
    at = [
        (row * scale + v - fine / 2 + 0.5, height),
        (column * scale + u - fine / 2 + 0.5, width),
        ((v + 0.5) / scale - 0.5, side),
        ((u + 0.5) / scale - 0.5, side),
    ]
    total = 0.0
    for corner in range(16):
        weight, index, inside = 1.0, [], True
        for dim, (position, size) in enumerate(at):
            low = math.floor(position)
            high = corner >> dim & 1
            weight *= position - low if high else 1 - (position - low)
            index.append(low + high)
            inside &= 0 <= low + high < size
        y, x_, tap_v, tap_u = index
        total += weight * (x[tap_v * side + tap_u, y, x_].item() if inside else pad)
    return total


@settings(max_examples=25, deadline=None)
@given(
    side=st.sampled_from([1, 3, 5]),
    scale=st.sampled_from([1, 2, 4]),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    pad=st.sampled_from([-6.0, 0.5]),
    seed=st.integers(0, 99),
)
def test_swap_align_is_its_definition(
    side: int, scale: int, size: tuple[int, int], pad: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, side * side, *size, generator=generator, dtype=torch.float64)
    out = swap_align2nat(x, scale, pad)
    fine = side * scale
    grid = [-(-n // scale) for n in size]
    assert out.shape == (2, fine * fine, *grid)
    for _ in range(12):
        draw = [int(torch.randint(n, (), generator=generator)) for n in (2, grid[0], grid[1], fine, fine)]
        image, row, column, v, u = draw
        value = out[image, v * fine + u, row, column].item()
        assert value == pytest.approx(sampled(x[image], scale, pad, (row, column, v, u)))
    # at some places only: the same
    image, row, column = (torch.randint(n, (5,), generator=generator) for n in (2, *grid))
    windows = swap_align2nat_at(x, scale, image, row, column, pad)
    expected = out.permute(0, 2, 3, 1)[image, row, column].view(5, fine, fine)
    torch.testing.assert_close(windows, expected)


def test_swap_align_gradients() -> None:
    x = torch.rand(1, 9, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(SwapAlign2Nat(1), x)
    x = torch.rand(1, 4, 6, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(SwapAlign2Nat(2), x)
    places = [torch.tensor(i) for i in ([0, 0, 0], [2, 0, 1], [0, 3, 3])]
    assert torch.autograd.gradcheck(lambda x: swap_align2nat_at(x, 2, *places), x)


def test_swap_align_takes_squares_and_whole_factors() -> None:
    with pytest.raises(ValueError, match=r"square number of channels, got \(1, 8, 4, 4\)"):
        swap_align2nat(torch.zeros(1, 8, 4, 4), 1)
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match="whole number from 1"):
            SwapAlign2Nat(wrong)
    assert SwapAlign2Nat(2.0)(torch.zeros(0, 9, 4, 4)).shape == (0, 36, 2, 2)


def small_anchors() -> tuple[torch.Tensor, torch.Tensor]:
    generator = TensorMaskAnchorGenerator(sizes=[[44, 60], [88, 120]], strides=[4, 8], offset=0.0)
    grids = [(16, 20), (8, 10)]
    anchors, index = torch.cat(generator.grid_anchors(grids)), generator.indexes(grids)
    units = generator.unit_lengths(grids)
    strides, sizes = torch.tensor([4, 8]), torch.tensor([[44.0, 60.0], [88.0, 120.0]])
    level, row, column, anchor = index.unbind(1)
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert torch.equal(centers, torch.stack((column, row), dim=1) * strides[level][:, None].float())
    assert torch.equal(anchors[:, 2] - anchors[:, 0], sizes[level, anchor])
    assert torch.equal(units, strides[level].float())
    return anchors, units


def test_assignment_is_its_definition() -> None:
    anchors, units = small_anchors()
    generator = torch.Generator().manual_seed(0)
    corner, size = torch.rand(2, 6, 2, generator=generator) * 40, torch.rand(2, 6, 2, generator=generator)
    boxes = torch.cat((corner, corner + 8 + size * 50), dim=2)
    boxes[1, 1] = boxes[1, 0] + 0.5  # two objects at one place
    valid = torch.ones(2, 6, dtype=torch.bool)
    valid[0, 4:] = False
    for unique in (True, False):
        options: dict[str, Any] = {"min_anchor_size": 40, "uniqueness_on": unique}
        matches, labels = assign_anchors(boxes, valid, anchors, units, **options)
        assert (labels == 1).any(dim=1).all()
        for image in range(2):
            for i, (anchor, unit) in enumerate(zip(anchors.tolist(), units.tolist(), strict=True)):
                suitable = []
                for j, (x0, y0, x1, y1) in enumerate(boxes[image].tolist()):
                    inside = x0 >= anchor[0] and y0 >= anchor[1] and x1 <= anchor[2] and y1 <= anchor[3]
                    small = anchor[2] - anchor[0] - unit <= max(40, 2 * max(x1 - x0, y1 - y0))
                    dx, dy = anchor[0] + anchor[2] - x0 - x1, anchor[1] + anchor[3] - y0 - y1
                    near = math.hypot(dx / 2, dy / 2) <= unit
                    if valid[image, j] and inside and small and near:
                        suitable.append(j)
                expected = {0: 0, 1: 1}.get(len(suitable), 0 if unique else -1)
                assert labels[image, i] == expected
                assert len(suitable) != 1 or matches[image, i] == suitable[0]
    nothing = assign_anchors(boxes[:, :0], valid[:, :0], anchors, units, min_anchor_size=40)
    assert not nothing[1].any()


def test_assignment_in_chunks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import lazycfg.projects.tensormask.anchors as module

    anchors, units = small_anchors()
    boxes = torch.rand(2, 7, 4, generator=torch.Generator().manual_seed(3)) * 30
    boxes[..., 2:] += boxes[..., :2] + 5
    valid = torch.ones(2, 7, dtype=torch.bool)
    whole = assign_anchors(boxes, valid, anchors, units, min_anchor_size=40)
    monkeypatch.setattr(module, "CHUNK_ENTRIES", 5 * len(anchors))
    parts = assign_anchors(boxes, valid, anchors, units, min_anchor_size=40)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_focal_star_is_its_formula() -> None:
    logits = torch.randn(3, 8, 5, generator=torch.Generator().manual_seed(0)) * 4
    labels = torch.randint(-1, 6, (3, 8), generator=torch.Generator().manual_seed(1))
    target = torch.nn.functional.one_hot(labels.clamp(min=0), 6)[..., :5].float()
    z = 3.0 * logits * (2 * target - 1)
    loss = -torch.nn.functional.logsigmoid(z) / 3.0 * (0.3 * target + 0.7 * (1 - target))
    torch.testing.assert_close(focal_star_loss(logits, labels, alpha=0.3, gamma=3.0), loss[labels >= 0].sum())


@pytest.mark.parametrize("aligned", [True, False])
def test_masks_of_places_without_a_bipyramid(aligned: bool) -> None:
    torch.manual_seed(0)
    head = TensorMaskHead(
        input_shape=[ShapeSpec(channels=4)] * 2, num_classes=2, num_convs=1, cls_channels=4, bbox_channels=4,
        mask_channels=4, mask_sizes=(3,), aligned_on=aligned,
    )  # fmt: skip
    assert not hasattr(head, "mask_fuse")
    _, _, masks = head([torch.randn(2, 4, 6, 8), torch.randn(2, 4, 3, 4)])
    assert [x.shape for (x,) in masks] == [(2, 9, 6, 8), (2, 9, 3, 4)]
    image, row, column = torch.tensor([0, 1]), torch.tensor([2, 1]), torch.tensor([3, 0])
    got = head.masks_at(masks[1][0], 1, image, row, column)
    natural = swap_align2nat(masks[1][0], 1) if aligned else masks[1][0]
    expected = natural.permute(0, 2, 3, 1)[image, row, column].view(2, 3, 3)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bipyramid_on": True}, "needs aligned_on=True"),
        ({"mask_sizes": ()}, "mask_sizes"),
        ({"input_shape": [ShapeSpec(channels=4), ShapeSpec(channels=8)]}, "the same channels"),
    ],
)
def test_wrong_arguments_of_the_head(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TensorMaskHead(**{"input_shape": [ShapeSpec(channels=4)], "num_classes": 2, **options})
