"""Anchors, matching, sampling, box codecs and pooling by themselves."""

import math

import pytest
import torch

from lazycfg.modeling import (
    Box2BoxTransform,
    Box2BoxTransformLinear,
    DefaultAnchorGenerator,
    Matcher,
    ROIPooler,
    subsample_labels,
)
from lazycfg.modeling import matcher as matcher_module
from lazycfg.modeling.box_regression import dense_box_regression_loss
from lazycfg.modeling.poolers import assign_boxes_to_levels
from lazycfg.modeling.sampling import sample_labels
from lazycfg.structures import Boxes, pairwise_iou


def random_boxes(n: int, size: float = 100.0) -> torch.Tensor:
    corner = torch.rand(n, 2) * size
    return torch.cat((corner, corner + 1 + torch.rand(n, 2) * size), dim=1)


def test_anchors_of_one_level() -> None:
    generator = DefaultAnchorGenerator(sizes=[32, 64], aspect_ratios=[0.25, 1, 4], strides=[4])
    (anchors,) = generator([torch.zeros(2, 96, 1, 2)])
    expected = [
        [-30.0, -6.0, 34.0, 10.0],
        [-14.0, -14.0, 18.0, 18.0],
        [-6.0, -30.0, 10.0, 34.0],
        [-62.0, -14.0, 66.0, 18.0],
        [-30.0, -30.0, 34.0, 34.0],
        [-14.0, -62.0, 18.0, 66.0],
    ]
    expected = torch.tensor(expected)
    right = expected + torch.tensor([4.0, 0, 4, 0])
    torch.testing.assert_close(anchors.tensor, torch.cat((expected, right)))
    assert generator.num_anchors == [6]
    assert generator.state_dict() == {}


def test_an_edit_of_anchors_does_not_reach_the_next_ones() -> None:
    generator = DefaultAnchorGenerator(sizes=[[8], [16]], aspect_ratios=[1.0], strides=[4, 8])
    maps = [torch.zeros(1, 1, 4, 6), torch.zeros(1, 1, 2, 3)]
    with torch.inference_mode():
        first = generator(maps)
        kept = first[0].tensor.clone()
        first[0].tensor += 1
    assert [len(level) for level in first] == [24, 6]
    again = generator(maps)
    assert torch.equal(again[0].tensor, kept)
    assert not again[0].tensor.is_inference()
    assert generator([m[..., :2] for m in maps])[0].tensor.shape == (8, 4)


def test_matcher_thresholds_and_low_quality() -> None:
    quality = torch.tensor(
        [[0.15, 0.45, 0.2, 0.6, 0.5], [0.3, 0.65, 0.05, 0.1, 0.3], [0.05, 0.4, 0.25, 0.4, 0.2]]
    )
    strict = Matcher([0.3, 0.6], [0, -1, 1])
    matches, labels = strict(quality)
    assert matches.tolist() == [1, 1, 2, 0, 0]
    assert labels.tolist() == [-1, 1, 0, 1, -1]
    _, labels = Matcher([0.3, 0.6], [0, -1, 1], allow_low_quality_matches=True)(quality)
    assert labels.tolist() == [-1, 1, 0, 1, -1]
    _, labels = Matcher([0.7], [0, 1], allow_low_quality_matches=True)(quality)
    assert labels.tolist() == [0, 1, 0, 1, 0]


def test_matching_a_padded_batch_equals_matching_each_image(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    matcher = Matcher([0.3, 0.5], [0, -1, 1], allow_low_quality_matches=True)
    anchors = random_boxes(50)
    gt = [random_boxes(5), random_boxes(0), random_boxes(2)]
    padded, valid = torch.zeros(3, 5, 4), torch.zeros(3, 5, dtype=torch.bool)
    for i, boxes in enumerate(gt):
        padded[i, : len(boxes)], valid[i, : len(boxes)] = boxes, True
    for entries in (1 << 26, 3 * 50 * 2):  # at once, and two objects at a time
        monkeypatch.setattr(matcher_module, "CHUNK_ENTRIES", entries)
        matches, labels = matcher.match_boxes(padded, valid, anchors)
        for i, boxes in enumerate(gt):
            own_matches, own_labels = matcher(pairwise_iou(Boxes(boxes), Boxes(anchors)))
            assert torch.equal(labels[i], own_labels)
            assert torch.equal(matches[i], own_matches)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5, 0.3], [0, -1, 1]), "increasing"),
        (([0.5], [0]), "intervals"),
        (([0.5], [0, 2]), "labels are"),
    ],
)
def test_matcher_refuses(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Matcher(*arguments)


def test_sampling_takes_what_there_is() -> None:
    labels = torch.tensor([0, 1, -1, 0, 2, 0, 1, 0])
    positive, negative = subsample_labels(labels, 4, 0.5, bg_label=0)
    assert len(positive) == len(negative) == 2
    assert set(positive.tolist()) <= {1, 4, 6}
    assert set(negative.tolist()) <= {0, 3, 5, 7}
    positive, negative = subsample_labels(labels, 100, 0.5, bg_label=0)
    assert sorted(positive.tolist()) == [1, 4, 6]
    assert sorted(negative.tolist()) == [0, 3, 5, 7]


def test_sampling_fills_up_with_negatives_and_is_uniform() -> None:
    torch.manual_seed(0)
    labels = torch.zeros(1000, 20, dtype=torch.int64)
    labels[:, 0] = 1
    labels[:, 1] = -1
    index, positive, negative = sample_labels(labels, 6, 0.5, bg_label=0)
    assert bool((positive.sum(1) == 1).all())
    assert bool((negative.sum(1) == 5).all())
    assert not bool((positive & negative).any())
    seen = torch.bincount(index[negative], minlength=20)
    assert seen[:2].tolist() == [0, 0]
    # 1000 draws of 5 out of 18: each 278 times, with a standard deviation of 14
    assert bool(((seen[2:] - 277.8).abs() < 80).all())


@pytest.mark.parametrize(
    "codec",
    [Box2BoxTransform((10, 10, 5, 5)), Box2BoxTransformLinear(True), Box2BoxTransformLinear(False)],
)
def test_codecs_invert_themselves(codec) -> None:
    torch.manual_seed(0)
    source = random_boxes(20)
    centers = (source[:, :2] + source[:, 2:]) / 2
    target = torch.cat((centers - torch.rand(20, 2) * 30, centers + torch.rand(20, 2) * 30), dim=1)
    deltas = codec.get_deltas(source, target)
    torch.testing.assert_close(codec.apply_deltas(deltas, source), target, rtol=1e-4, atol=1e-3)
    per_class = codec.apply_deltas(torch.cat((deltas, torch.zeros_like(deltas)), dim=1), source)
    torch.testing.assert_close(per_class[:, :4], target, rtol=1e-4, atol=1e-3)


def test_boxes_do_not_grow_without_bound() -> None:
    box = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    grown = Box2BoxTransform().apply_deltas(torch.full((1, 4), 50.0), box)
    assert math.isclose(float(grown[0, 2] - grown[0, 0]), 1000.0, rel_tol=1e-5)


@pytest.mark.parametrize("kind", ["smooth_l1", "giou", "diou", "ciou"])
def test_box_loss_counts_only_the_mask(kind: str) -> None:
    torch.manual_seed(0)
    anchors, gt = random_boxes(6), random_boxes(6)
    gt[3:] = 0.0  # not boxes at all where nothing counts
    deltas = torch.randn(6, 4, requires_grad=True)
    mask = torch.tensor([True, True, True, False, False, False])
    codec = Box2BoxTransform()
    options = {"box_reg_loss_type": kind, "smooth_l1_beta": 0.1}
    loss = dense_box_regression_loss(anchors, codec, deltas, gt, mask, **options)
    only = dense_box_regression_loss(anchors[:3], codec, deltas[:3], gt[:3], mask[:3], **options)
    torch.testing.assert_close(loss, only)
    loss.backward()
    assert bool(torch.isfinite(deltas.grad).all())
    assert bool((deltas.grad[3:] == 0).all())
    assert bool((deltas.grad[:3] != 0).any())


def test_unknown_box_loss() -> None:
    boxes = random_boxes(1)
    with pytest.raises(ValueError, match="giou"):
        dense_box_regression_loss(
            boxes, Box2BoxTransform(), boxes, boxes, torch.ones(1, dtype=torch.bool), box_reg_loss_type="goiu"
        )


def test_levels_follow_the_size_of_boxes() -> None:
    sides = torch.tensor([1.0, 111.0, 113.0, 224.0, 449.0, 5000.0, 0.0])
    boxes = torch.stack((torch.zeros(7), torch.zeros(7), sides, sides), dim=1)
    levels = assign_boxes_to_levels([Boxes(boxes[:3]), Boxes(boxes[3:])], 2, 5, 224, 4)
    assert levels.tolist() == [0, 0, 1, 2, 3, 3, 0]


@pytest.mark.parametrize("kind", ["ROIAlignV2", "ROIAlign", "ROIPool"])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_pooling_all_boxes_on_every_level_is_the_same(
    kind: str, sampling_ratio: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    pooler = ROIPooler(
        output_size=(3, 2), scales=[1 / 4, 1 / 8, 1 / 16], sampling_ratio=sampling_ratio, pooler_type=kind
    )
    maps = [torch.randn(2, 4, 256 // s, 256 // s, requires_grad=True) for s in (4, 8, 16)]
    boxes = [Boxes(random_boxes(10, 40)), Boxes(random_boxes(7, 130))]
    assert len(set(pooler.levels(torch.cat((torch.zeros(7, 1), boxes[1].tensor), 1)).tolist())) > 1
    results = []
    for compiling in (False, True):  # as on the host, as on a device
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda value=compiling: value)
        pooled = pooler(maps, boxes)
        assert pooled.shape == (17, 4, 3, 2)
        results.append((pooled, *torch.autograd.grad(pooled.square().sum(), maps)))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)
    assert pooler(maps, [Boxes(torch.zeros(0, 4))] * 2).shape == (0, 4, 3, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scales": [0.3]}, "powers"),
        ({"scales": [1 / 4, 1 / 16]}, "half"),
        ({"pooler_type": "ROIAline"}, "ROIAlign"),
    ],
)
def test_pooler_refuses(change: dict, message: str) -> None:
    arguments = {"output_size": 7, "scales": [1 / 4], "sampling_ratio": 0, "pooler_type": "ROIAlign"}
    with pytest.raises(ValueError, match=message):
        ROIPooler(**{**arguments, **change})
