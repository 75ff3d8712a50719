import math

import pytest
import torch
import torch.nn.functional as F
from torchvision import ops

from lazycfg.layers.losses import ciou_loss, diou_loss, giou_loss, sigmoid_focal_loss, smooth_l1_loss


def pairs(n=200, seed=0):
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(2, n, 2, generator=g, dtype=torch.float64) * 20
    boxes = torch.cat((corner, corner + torch.rand(2, n, 2, generator=g) * 20 + 0.1), dim=2)
    return boxes[0].requires_grad_(), boxes[1]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (giou_loss, ops.generalized_box_iou_loss),
        (diou_loss, ops.distance_box_iou_loss),
        (ciou_loss, ops.complete_box_iou_loss),
    ],
)
def test_boxes_against_torchvision(ours, theirs):
    a, b = pairs()
    torch.testing.assert_close(ours(a, b), theirs(a, b))
    for reduction in ("mean", "sum"):
        (mine,) = torch.autograd.grad(ours(a, b, reduction), a)
        (other,) = torch.autograd.grad(theirs(a, b, reduction), a)
        torch.testing.assert_close(mine, other)


def test_boxes_by_hand():
    a = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1]])
    b = torch.tensor([[1.0, 0, 3, 2], [3, 4, 4, 6]])
    iou = 2 / 6
    # The hulls are 3x2 and 4x6; the second pair is apart.
    expected = torch.tensor([1 - (iou - 0 / 6), 1 - (0 - (24 - 3) / 24)])
    torch.testing.assert_close(giou_loss(a, b), expected)
    distance = torch.tensor([1 / 13, (3**2 + 4.5**2) / (16 + 36)])
    expected = 1 - torch.tensor([iou, 0.0]) + distance
    torch.testing.assert_close(diou_loss(a, b), expected)
    v = (4 / math.pi**2) * (math.atan(1 / 2) - math.atan(1)) ** 2
    expected = expected + torch.tensor([0.0, v * v / (1 + v)])
    torch.testing.assert_close(ciou_loss(a, b), expected)


@pytest.mark.parametrize("loss", [giou_loss, diou_loss, ciou_loss])
def test_flat_boxes_have_finite_gradients(loss):
    a = torch.tensor([[1.0, 1, 1, 1], [2, 2, 6, 2]], requires_grad=True)
    value = loss(a, torch.tensor([[1.0, 1, 1, 1], [2, 2, 6, 2]]), "sum")
    value.backward()
    assert value.isfinite()
    assert a.grad.isfinite().all()


@pytest.mark.parametrize("loss", [giou_loss, diou_loss, ciou_loss])
def test_nothing(loss):
    a = torch.zeros(0, 4, requires_grad=True)
    value = loss(a, torch.zeros(0, 4), "mean")
    assert value == 0
    value.backward()
    with pytest.raises(ValueError, match="expected 'none', 'mean' or 'sum', got 'average'"):
        loss(a, a, "average")


def test_smooth_l1():
    x = torch.tensor([0.0, 0.05, 0.1, 2.0, -2.0], dtype=torch.float64)
    zero = torch.zeros(5, dtype=torch.float64)
    expected = torch.tensor([0, 0.5 * 0.05**2 / 0.1, 0.05, 1.95, 1.95], dtype=torch.float64)
    torch.testing.assert_close(smooth_l1_loss(x, zero, beta=0.1), expected)
    theirs = F.smooth_l1_loss(x, zero, reduction="none", beta=0.1)
    torch.testing.assert_close(smooth_l1_loss(x, zero, beta=0.1), theirs)
    assert torch.equal(smooth_l1_loss(x, zero, beta=0.0), x.abs())
    assert smooth_l1_loss(x, zero, beta=1e-6, reduction="sum") == x.abs().sum()
    assert smooth_l1_loss(x[:0], zero[:0], beta=1.0, reduction="mean") == 0
    assert smooth_l1_loss(x.bfloat16(), zero, 0.1).dtype == torch.float64
    assert smooth_l1_loss(x.bfloat16(), zero.bfloat16(), 0.1).dtype == torch.float32


@pytest.mark.parametrize(("alpha", "gamma"), [(-1, 2.0), (0.25, 2.0), (0.5, 0.0)])
def test_focal(alpha, gamma):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(50, 3, generator=g) * 5
    y = (torch.rand(50, 3, generator=g) > 0.7).float()
    expected = ops.sigmoid_focal_loss(x, y, alpha, gamma)
    torch.testing.assert_close(sigmoid_focal_loss(x, y, alpha, gamma), expected)
    total = sigmoid_focal_loss(x, y.long(), alpha, gamma, reduction="sum")
    torch.testing.assert_close(total, expected.sum())
