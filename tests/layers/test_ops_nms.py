from importlib import import_module

import pytest
import torch
from torchvision.ops import nms

from lazycfg.layers.nms import batched_nms


def case(n, groups, seed):
    g = torch.Generator().manual_seed(seed)
    xy = torch.rand(n, 2, generator=g) * 200 - 50
    boxes = torch.cat((xy, xy + 5 + torch.rand(n, 2, generator=g) * 60), dim=1)
    return boxes, torch.rand(n, generator=g), torch.randint(groups, (n,), generator=g)


def one_group_at_a_time(boxes, scores, idxs, threshold):
    keep = [torch.where(idxs == i)[0] for i in idxs.unique()]
    keep = torch.cat([k[nms(boxes[k], scores[k], threshold)] for k in keep])
    return keep[scores[keep].argsort(descending=True)]


@pytest.mark.parametrize("groups", [1, 7, 300])
@pytest.mark.parametrize("n", [600, 2500])
def test_equals_one_group_at_a_time(groups, n):
    """Few boxes go through the quadratic kernel, many through pairs of one group."""
    boxes, scores, idxs = case(n, groups, groups)
    assert torch.equal(batched_nms(boxes, scores, idxs, 0.4), one_group_at_a_time(boxes, scores, idxs, 0.4))


def test_chunks_change_nothing(monkeypatch):
    boxes, scores, idxs = case(1500, 5, 0)
    expected = one_group_at_a_time(boxes, scores, idxs, 0.4)
    for pairs in (1, 1000, 100_000):
        monkeypatch.setattr(import_module("lazycfg.layers.nms"), "_CHUNK_PAIRS", pairs)
        assert torch.equal(batched_nms(boxes, scores, idxs, 0.4), expected)


@pytest.mark.parametrize("few", [0, 1000])
@pytest.mark.parametrize(
    ("threshold", "kept"), [(0.5, [0, 1, 2]), (0.499, [0, 2]), (0.25, [0, 2]), (0.24, [0])]
)
def test_more_than_the_threshold(monkeypatch, few, threshold, kept):
    """Overlaps with the first: a half, a quarter. Equal scores keep their order."""
    monkeypatch.setattr(import_module("lazycfg.layers.nms"), "_FEW", few)
    boxes = torch.tensor([[0.0, 0, 8, 8], [0, 0, 4, 8], [4, 4, 8, 8]])
    assert batched_nms(boxes, torch.ones(3), torch.zeros(3), threshold).tolist() == kept


def test_many_groups_do_not_cost_precision():
    """Equal boxes that differ by less than a float32 step far from the origin."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 4.999, 10], [0.0, 0, 5.001, 10], [0, 0, 1333, 800]])
    scores = torch.tensor([0.9, 0.8, 0.7, 0.1])
    idxs = torch.tensor([60000, 60000, 60000, 0])
    assert batched_nms(boxes, scores, idxs, 0.5).tolist() == [0, 1, 3]


def test_half_precision_and_empty():
    boxes, scores, idxs = case(50, 3, 0)
    assert torch.equal(
        batched_nms(boxes.bfloat16(), scores, idxs, 0.5),
        batched_nms(boxes.bfloat16().float(), scores, idxs, 0.5),
    )
    assert batched_nms(boxes[:0], scores[:0], idxs[:0], 0.5).shape == (0,)
    with pytest.raises(ValueError, match=r"\(N, 4\)"):
        batched_nms(torch.zeros(2, 5), torch.zeros(2), torch.zeros(2), 0.5)
