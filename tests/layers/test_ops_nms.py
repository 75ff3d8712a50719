from importlib import import_module

import pytest
import torch
from torchvision.ops import nms

from lazycfg.layers.nms import batched_nms
from lazycfg.layers.nms_groups import grouped_nms


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


def lists(n, k, seed):
    g = torch.Generator().manual_seed(seed)
    xy = torch.rand(n, k, 2, generator=g) * 200
    return torch.cat((xy, xy + 5 + torch.rand(n, k, 2, generator=g) * 60), dim=-1)


DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")],
    ),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
def test_lists_equal_each_alone(device, threshold):
    groups = [lists(3, 300, 0), lists(2, 40, 1), lists(4, 1, 2), lists(2, 0, 3)]
    groups[1][0, 10:] = 0  # boxes without area overlap nothing, not even each other
    kept = grouped_nms([x.to(device) for x in groups], threshold)
    assert [x.shape for x in kept] == [x.shape[:2] for x in groups]
    for boxes, keep in zip(groups, kept, strict=True):
        for one, own in zip(boxes, keep.cpu(), strict=True):
            falling = torch.arange(len(one), 0, -1).float()
            assert own.nonzero()[:, 0].tolist() == nms(one, falling, threshold).sort().values.tolist()


def test_lists_in_parts_are_the_same(monkeypatch):
    groups = [lists(5, 60, 0), lists(3, 25, 1)]
    expected = grouped_nms(groups, 0.3)
    module = import_module("lazycfg.layers.nms_groups")
    monkeypatch.setattr(module, "_CHUNK_PAIRS", 100)
    monkeypatch.setattr(module, "_MOST_PAIRS", 10_000)
    monkeypatch.setattr(module, "_ROUNDS", 1)
    assert all(torch.equal(a, b) for a, b in zip(grouped_nms(groups, 0.3), expected, strict=True))


def test_a_long_chain_of_lists():
    """Each box overlaps the next only: every other one stays, and every round settles one more of them."""
    left = torch.arange(101.0)
    chain = torch.stack((left, torch.zeros(101), left + 2, torch.ones(101)), dim=1)
    (kept,) = grouped_nms([chain[None]], 0.3)
    assert kept[0].tolist() == [i % 2 == 0 for i in range(101)]
