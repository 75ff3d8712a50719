"""Parts of the detector of rotated boxes against definitions in plain loops."""

import math

import pytest
import torch

from lazycfg.layers import nms_rotated, pairwise_iou_rotated
from lazycfg.layers import nms_rotated_groups as groups_module
from lazycfg.layers.nms_rotated_groups import grouped_nms_rotated
from lazycfg.modeling import (
    Box2BoxTransformRotated,
    Matcher,
    ROIPooler,
    RotatedAnchorGenerator,
    detector_postprocess,
    fast_rcnn_inference_rotated,
    find_top_rrpn_proposals,
)
from lazycfg.structures import Instances, RotatedBoxes

SIZES = [(60, 80), (90, 50)]


def random_boxes(*shape: int, seed: int = 0, extent: float = 80.0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    scale = torch.tensor([extent, extent, 30, 30, 700.0])
    return torch.rand(*shape, 5, generator=g) * scale + torch.tensor([0, 0, 2.0, 2.0, -350])


class TestAnchors:
    def test_cells(self) -> None:
        generator = RotatedAnchorGenerator(
            sizes=[[32, 64]], aspect_ratios=[[0.25, 1]], strides=[4], angles=[[0, 45]], offset=0.5
        )
        assert generator.num_anchors == [8]
        (anchors,) = generator([torch.zeros(1, 1, 1, 2)])
        assert isinstance(anchors, RotatedBoxes)
        expected = [[2, 2, w, h, a] for w, h in ((64, 16), (32, 32), (128, 32), (64, 64)) for a in (0, 45)]
        assert anchors.tensor[:8].tolist() == expected
        assert (anchors.tensor[8:] - anchors.tensor[:8]).tolist() == [[4, 0, 0, 0, 0]] * 8

    def test_levels(self) -> None:
        generator = RotatedAnchorGenerator(
            sizes=[[8], [16]], aspect_ratios=[1.0], strides=[4, 8], angles=[-90, 0, 90], offset=0.0
        )
        assert generator.box_dim == 5
        assert generator.num_anchors == [3, 3]
        levels = generator([torch.zeros(1, 1, 3, 4), torch.zeros(1, 1, 2, 2)])
        assert [len(x) for x in levels] == [36, 12]
        assert levels[1].tensor[-1].tolist() == [8, 8, 16, 16, 90]
        assert not generator.state_dict()


class TestCodec:
    codec = Box2BoxTransformRotated(weights=(10, 10, 5, 5, 2))

    def test_there_and_back(self) -> None:
        a, b = random_boxes(200, seed=0), random_boxes(200, seed=1)
        back = self.codec.apply_deltas(self.codec.get_deltas(a, b), a)
        turn = (back[:, 4] - b[:, 4] + 180) % 360 - 180
        torch.testing.assert_close(back[:, :4], b[:, :4], rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(turn, torch.zeros(200), rtol=0, atol=1e-2)
        assert (back[:, 4] >= -180).all()
        assert (back[:, 4] < 180).all()

    def test_the_shorter_way_round(self) -> None:
        a, b = torch.tensor([[0.0, 0, 1, 1, 170]]), torch.tensor([[0.0, 0, 1, 1, -170]])
        assert self.codec.get_deltas(a, b)[0, 4].item() == pytest.approx(2 * math.radians(20))
        assert self.codec.get_deltas(b, a)[0, 4].item() == pytest.approx(-2 * math.radians(20))
        # half a turn has two ways: the negative one is taken
        assert self.codec.get_deltas(b, b + torch.tensor([0, 0, 0, 0, 180]))[0, 4].item() == pytest.approx(
            -2 * math.pi
        )

    def test_many_classes_and_leading_dimensions(self) -> None:
        deltas, boxes = torch.randn(2, 7, 15), random_boxes(2, 7)
        out = self.codec.apply_deltas(deltas, boxes)
        for k in range(3):
            part = slice(5 * k, 5 * k + 5)
            one = self.codec.apply_deltas(deltas[..., part], boxes)
            torch.testing.assert_close(out[..., part], one)

    def test_sizes_are_bounded(self) -> None:
        out = self.codec.apply_deltas(torch.full((1, 5), 1e5), torch.tensor([[0.0, 0, 2, 4, 0]]))
        assert out[0, 2:4].tolist() == pytest.approx([2 * 62.5, 4 * 62.5])

    def test_weights(self) -> None:
        with pytest.raises(ValueError, match="five"):
            Box2BoxTransformRotated(weights=(1, 1, 1, 1))


class TestGroupedNMS:
    @pytest.mark.parametrize("threshold", [0.1, 0.5])
    def test_each_list_alone(self, threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
        groups = [random_boxes(3, 40, seed=0), random_boxes(3, 0, seed=1), random_boxes(2, 25, seed=2)]
        groups[0][1, 20:] = 0  # padding
        kept = grouped_nms_rotated(groups, threshold)
        for group, keep in zip(groups, kept, strict=True):
            for boxes, flags in zip(group, keep, strict=True):
                falling = torch.arange(len(boxes), 0, -1).float()
                expected = torch.zeros(len(boxes), dtype=torch.bool)
                expected[nms_rotated(boxes, falling, threshold)] = True
                assert torch.equal(flags, expected)
        monkeypatch.setattr(groups_module, "_CHUNK_PAIRS", 500)
        for a, b in zip(grouped_nms_rotated(groups, threshold), kept, strict=True):
            assert torch.equal(a, b)

    def test_nothing(self) -> None:
        assert grouped_nms_rotated([torch.zeros(2, 0, 5)], 0.5)[0].shape == (2, 0)
        assert grouped_nms_rotated([torch.zeros(0, 3, 5)], 0.5)[0].shape == (0, 3)


def suppressed_in_order(
    boxes: torch.Tensor, order: list[int], group: list[int], threshold: float
) -> list[int]:
    over = pairwise_iou_rotated(boxes, boxes) > threshold
    kept: list[int] = []
    for i in order:
        if not any(over[i, j] and group[i] == group[j] for j in kept):
            kept.append(i)
    return kept


def clipped(boxes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    rotated = RotatedBoxes(boxes.clone())
    rotated.clip(size)
    return rotated.tensor


@pytest.mark.parametrize("seed", range(3))
def test_proposals_by_the_definition(seed: int) -> None:
    """Level by level the best, clipped, without small ones; suppressed within the level; the best of all."""
    counts, pre, post, threshold = (60, 30, 7), 25, 20, 0.4
    decoded = [random_boxes(2, n, seed=seed * 10 + i) for i, n in enumerate(counts)]
    for boxes in decoded:
        boxes[:, ::3, 4] = 0.3  # some that are clipped
        boxes[:, ::5, 0] = -100.0  # and then empty
    g = torch.Generator().manual_seed(seed)
    logits = [torch.randn(2, n, generator=g) for n in counts]
    decoded[0][0, 3] = math.nan
    logits[1][1, 2] = math.inf
    found = find_top_rrpn_proposals(decoded, logits, SIZES, threshold, pre, post, 3.0, training=False)
    for b, size in enumerate(SIZES):
        rows, levels, scores = [], [], []
        for level in range(3):
            top = logits[level][b].argsort(descending=True)[:pre]
            rows.append(decoded[level][b, top])
            scores.append(logits[level][b, top])
            levels += [level] * len(top)
        boxes, score = torch.cat(rows), torch.cat(scores)
        usable = boxes.isfinite().all(1) & score.isfinite()
        boxes = clipped(boxes, size)
        usable &= (boxes[:, 2:4] > 3.0).all(1)
        order = [i for i in score.argsort(descending=True).tolist() if usable[i]]
        kept = suppressed_in_order(boxes, order, levels, threshold)[:post]
        torch.testing.assert_close(found[b].proposal_boxes.tensor, boxes[kept])
        assert torch.equal(found[b].objectness_logits, score[kept])


@pytest.mark.parametrize("classes_of_box", [1, 3])
def test_detections_by_the_definition(classes_of_box: int) -> None:
    """Above the threshold, clipped, suppressed within the class, the best of each image."""
    boxes = [random_boxes(40, classes_of_box, seed=i).flatten(1) for i in range(2)]
    boxes[0][::2, 4] = -0.5
    boxes[1][3, 2] = math.inf
    g = torch.Generator().manual_seed(0)
    scores = [torch.randn(40, 4, generator=g).mul(2).softmax(1) for _ in range(2)]
    found, rows = fast_rcnn_inference_rotated(boxes, scores, SIZES, 0.2, 0.3, 15)
    for b, size in enumerate(SIZES):
        usable = boxes[b].isfinite().all(1)
        candidates = [(r, k) for r in range(40) for k in range(3) if usable[r] and scores[b][r, k] > 0.2]
        all_boxes = boxes[b].view(40, classes_of_box, 5)
        picked = torch.stack([all_boxes[r, k % classes_of_box] for r, k in candidates])
        picked = clipped(picked, size)
        score = torch.stack([scores[b][r, k] for r, k in candidates])
        order = score.argsort(descending=True).tolist()
        kept = suppressed_in_order(picked, order, [k for _, k in candidates], 0.3)[:15]
        assert isinstance(found[b].pred_boxes, RotatedBoxes)
        torch.testing.assert_close(found[b].pred_boxes.tensor, picked[kept])
        torch.testing.assert_close(found[b].scores, score[kept])
        assert found[b].pred_classes.tolist() == [candidates[i][1] for i in kept]
        assert rows[b].tolist() == [candidates[i][0] for i in kept]


def test_matching_by_the_definition() -> None:
    matcher = Matcher([0.3, 0.7], [0, -1, 1], allow_low_quality_matches=True)
    gt, anchors = random_boxes(2, 4, seed=1), random_boxes(300, seed=2)
    valid = torch.tensor([[True, True, True, True], [True, True, False, False]])
    matches, labels = matcher.match_boxes(gt, valid, anchors, pairwise_iou_rotated)
    for b, count in enumerate((4, 2)):
        iou = pairwise_iou_rotated(gt[b, :count], anchors)
        best, index = iou.max(dim=0)
        expected = torch.where(best >= 0.7, 1, torch.where(best < 0.3, 0, -1))
        expected[(iou == iou.max(dim=1, keepdim=True).values).any(dim=0)] = 1
        assert torch.equal(labels[b].long(), expected)
        positive = labels[b] == 1
        assert torch.equal(matches[b][positive], index[positive])
        assert positive.sum() >= count


@pytest.mark.parametrize("ratio", [0, 2])
def test_pooler_takes_each_box_from_its_level(ratio: int) -> None:
    scales = (1 / 4, 1 / 8, 1 / 16)
    g = torch.Generator().manual_seed(0)
    maps = [torch.rand(2, 3, 128 // s, 160 // s, generator=g, requires_grad=True) for s in (4, 8, 16)]
    boxes = random_boxes(2, 30, seed=3, extent=150.0)
    boxes[..., 2:4] *= torch.rand(2, 30, 1, generator=g) * 12
    options = {"output_size": (3, 4), "sampling_ratio": ratio, "pooler_type": "ROIAlignRotated"}
    pooler = ROIPooler(scales=scales, canonical_box_size=64, canonical_level=3, **options)
    lists = [RotatedBoxes(b) for b in boxes]
    pooled = pooler(maps, lists)
    areas = boxes[..., 2].mul(boxes[..., 3]).flatten()
    level = (3 + (areas.sqrt() / 64 + 1e-8).log2().floor()).clamp(2, 4) - 2
    assert set(level.tolist()) == {0, 1, 2}
    expected = torch.zeros_like(pooled)
    for k, scale in enumerate(scales):
        alone = ROIPooler(scales=(scale,), **options)([maps[k]], lists)
        expected = torch.where((level == k)[:, None, None, None], alone, expected)
    torch.testing.assert_close(pooled, expected)
    weight = torch.rand(pooled.shape, generator=g)
    for a, b in zip(
        torch.autograd.grad((pooled * weight).sum(), maps),
        torch.autograd.grad((expected * weight).sum(), maps),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_postprocessing_scales_and_clips() -> None:
    boxes = torch.tensor(
        [[30.0, 20, 20, 10, 0], [30, 20, 20, 10, 30], [70, 20, 60, 10, 0.5], [-90, 20, 4, 4, 0]]
    )
    results = Instances((60, 80), pred_boxes=RotatedBoxes(boxes), scores=torch.arange(4.0))
    out = detector_postprocess(results, 180, 160)
    expected = RotatedBoxes(boxes.clone())
    expected.scale(2.0, 3.0)
    expected.clip((180, 160))
    assert out.image_size == (180, 160)
    assert out.scores.tolist() == [0, 1, 2]  # the last is outside
    torch.testing.assert_close(out.pred_boxes.tensor, expected.tensor[:3])
    assert out.pred_boxes.tensor[2, :4].tolist() == pytest.approx([120, 60, 80, 30], abs=0.1)
    assert results.pred_boxes.tensor[0].tolist() == [30, 20, 20, 10, 0]
