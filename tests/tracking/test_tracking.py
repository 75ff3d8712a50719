"""Trackers, against plain loops and SciPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment as scipys

from lazycfg import LazyCall as L
from lazycfg import instantiate
from lazycfg.structures import BitMasks, Boxes, Instances, RotatedBoxes, pairwise_iou
from lazycfg.tracking import (
    BaseHungarianTracker,
    BaseTracker,
    BBoxIOUTracker,
    IOUWeightedHungarianBBoxIOUTracker,
    VanillaHungarianBBoxIOUTracker,
    linear_sum_assignment,
)
from lazycfg.visualization import VideoVisualizer

SIZE = (600, 800)
VIDEO = {"video_height": 600, "video_width": 800}
TRACKERS = [BBoxIOUTracker, VanillaHungarianBBoxIOUTracker, IOUWeightedHungarianBBoxIOUTracker]
FIRST = [[101.0, 101, 200, 200], [301, 301, 450, 450]]
SECOND = [[302.0, 303, 451, 452], [101, 102, 201, 203]]


def frame(boxes, size=SIZE, **fields):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    given = {"scores": torch.full((len(boxes),), 0.9), "pred_classes": torch.ones(len(boxes)).long()}
    return Instances(size, pred_boxes=Boxes(boxes), **{**given, **fields})


@pytest.mark.parametrize("kind", TRACKERS)
def test_numbers_follow_the_boxes(kind):
    tracker = kind(**VIDEO)
    given = frame(FIRST)
    first = tracker.update(given)
    assert not given.has("ID")
    assert (first.ID, first.ID_period, first.lost_frame_count) == ([0, 1], [1, 1], [0, 0])
    second = tracker.update(frame([*SECOND, [500, 10, 600, 90]]))
    assert (second.ID, second.ID_period, second.lost_frame_count) == ([1, 0, 2], [2, 2, 1], [0, 0, 0])
    assert tracker.update(frame([])).ID == []
    assert tracker.update(frame(SECOND)).ID == [3, 4]  # all were forgotten
    tracker.reset()
    assert tracker.update(frame(SECOND)).ID == [0, 1]


@pytest.mark.parametrize("kind", TRACKERS)
def test_objects_out_of_sight_are_kept_as_long_as_asked(kind):
    masks = torch.zeros(2, *SIZE, dtype=torch.bool)
    tracker = kind(**VIDEO, max_lost_frame_count=2, min_instance_period=1)
    tracker.update(frame(FIRST, pred_masks=masks))
    tracker.update(frame(FIRST, pred_masks=masks))
    third = tracker.update(frame(FIRST[:1], pred_masks=masks[:1]))
    assert (third.ID, third.ID_period, third.lost_frame_count) == ([0, 1], [3, 2], [0, 1])
    assert third.pred_boxes.tensor[1].tolist() == FIRST[1]
    assert third.pred_masks.shape == (2, *SIZE)
    assert tracker.update(frame(FIRST[:1], pred_masks=masks[:1])).lost_frame_count == [0, 2]
    back = tracker.update(frame([FIRST[1]], pred_masks=masks[:1]))
    assert (back.ID, back.ID_period, back.lost_frame_count) == ([1, 0], [3, 4], [0, 1])
    for _ in range(2):
        assert 0 in tracker.update(frame([FIRST[1]], pred_masks=masks[:1])).ID or _ == 1
    assert tracker.update(frame([], pred_masks=masks[:0])).ID == [1]


def test_what_is_not_kept():
    options = {**VIDEO, "max_lost_frame_count": 5}
    small = [[10.0, 10, 10 + 0.019 * 800, 200]]
    tracker = BBoxIOUTracker(**options)
    for _ in range(3):
        tracker.update(frame(small))
    assert len(tracker.update(frame([]))) == 0  # too narrow
    tracker = BBoxIOUTracker(**options, min_box_rel_dim=0.018)
    for _ in range(3):
        tracker.update(frame(small))
    assert tracker.update(frame([])).lost_frame_count == [1]
    tracker = BBoxIOUTracker(**options, min_instance_period=3)
    for _ in range(3):
        tracker.update(frame(FIRST))
    assert len(tracker.update(frame([]))) == 0  # three frames are not more than three


def test_the_best_overlap_comes_first():
    """A box that overlaps two: an earlier one must not take what suits a later one better."""
    before = frame([[0.0, 0, 100, 100]])
    now = frame([[30.0, 0, 130, 100], [2, 0, 102, 100]])
    tracker = BBoxIOUTracker(**VIDEO)
    tracker.update(before)
    assert tracker.update(now).ID == [1, 0]


def test_pairs_below_the_threshold_are_never_matched():
    """Though an assignment uses every row."""
    for kind in TRACKERS:
        tracker = kind(**VIDEO, track_iou_threshold=0.6)
        tracker.update(frame(FIRST))
        moved = [[131.0, 101, 230, 200], FIRST[1]]
        assert tracker.update(frame(moved)).ID == [2, 1]


def test_as_many_pairs_as_can_be():
    """The greedy tracker takes the best pair and leaves one over; the Hungarian ones match both."""
    before = frame([[0.0, 0, 100, 100], [35, 0, 135, 100]])
    now = frame([[33.0, 0, 133, 100], [60, 0, 160, 100]])
    greedy, hungarian = BBoxIOUTracker(**VIDEO), IOUWeightedHungarianBBoxIOUTracker(**VIDEO)
    greedy.update(before), hungarian.update(before)
    assert greedy.update(now).ID == [1, 2]
    assert hungarian.update(now).ID == [0, 1]


def test_only_so_many_are_remembered():
    tracker = BBoxIOUTracker(**VIDEO, max_num_instances=1)
    tracker.update(frame(FIRST, scores=torch.tensor([0.3, 0.8])))
    assert tracker.update(frame(FIRST)).ID == [2, 1]


def test_rotated_boxes():
    tracker = BBoxIOUTracker(**VIDEO, max_lost_frame_count=1)
    boxes = torch.tensor([[100.0, 100, 80, 20, 30], [300, 300, 80, 20, 0]])
    for _ in range(2):
        tracker.update(Instances(SIZE, pred_boxes=RotatedBoxes(boxes)))
    turned = boxes[:1] + torch.tensor([0, 0, 0, 0, 4.0])
    found = tracker.update(Instances(SIZE, pred_boxes=RotatedBoxes(turned)))
    assert (found.ID, found.lost_frame_count) == ([0, 1], [0, 1])


def test_masks_of_a_class_of_their_own_and_configs():
    tracker = instantiate(L(BBoxIOUTracker)(**VIDEO, max_lost_frame_count=1))
    masks = BitMasks(torch.zeros(2, *SIZE, dtype=torch.bool))
    for _ in range(2):
        tracker.update(frame(FIRST, pred_masks=masks))
    assert len(tracker.update(frame(FIRST[:1], pred_masks=masks[:1])).pred_masks) == 2


class ByClass(BaseHungarianTracker):
    def build_cost_matrix(self, instances, prev_instances):
        same = instances.pred_classes[:, None] == prev_instances.pred_classes
        return np.where(same.numpy(), 0.0, np.inf)


def test_costs_of_ones_own():
    tracker = ByClass(**VIDEO)
    tracker.update(frame(FIRST, pred_classes=torch.tensor([3, 4])))
    assert tracker.update(frame(FIRST, pred_classes=torch.tensor([4, 5]))).ID == [1, 2]
    for kind, lacks in ((BaseHungarianTracker, "build_cost_matrix"), (BaseTracker, "match")):
        tracker = kind(**VIDEO)
        tracker.update(frame(FIRST))
        with pytest.raises(NotImplementedError, match=f"{kind.__name__} lacks {lacks}"):
            tracker.update(frame(FIRST))


def test_what_a_caller_does_to_a_result_does_not_reach_the_tracker():
    tracker = BBoxIOUTracker(**VIDEO)
    first = tracker.update(frame(FIRST))
    first.ID[0] = 77
    first.pred_boxes.scale(0.1, 0.1)
    assert tracker.update(frame(FIRST)).ID == [0, 1]


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="video_height=0: expected at least 1"):
        BBoxIOUTracker(video_height=0, video_width=3)
    with pytest.raises(ValueError, match=r"track_iou_threshold=1\.5"):
        BBoxIOUTracker(**VIDEO, track_iou_threshold=1.5)
    with pytest.raises(ValueError, match="min_box_rel_dim=2"):
        BBoxIOUTracker(**VIDEO, min_box_rel_dim=2)
    with pytest.raises(ValueError, match=r"height 10 and width 20, but the tracker has video_height=600"):
        BBoxIOUTracker(**VIDEO).update(frame([], size=(10, 20)))
    with pytest.raises(ValueError, match="needs pred_boxes; got scores"):
        BBoxIOUTracker(**VIDEO).update(Instances(SIZE, scores=torch.rand(2)))


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 10_000), st.booleans())
@settings(max_examples=200, deadline=None)
def test_the_assignment_is_as_cheap_as_scipys(rows, columns, seed, few_values):
    rng = np.random.default_rng(seed)
    cost = rng.integers(-3, 3, (rows, columns)) if few_values else rng.normal(size=(rows, columns))
    cost = np.where(rng.random(cost.shape) < 0.5, 100_000.0, cost)
    mine, theirs = linear_sum_assignment(cost), scipys(cost)
    assert np.isclose(cost[mine].sum(), cost[theirs].sum())
    assert len(mine[0]) == min(rows, columns)
    assert (np.diff(mine[0]) > 0).all()
    assert len(set(mine[1].tolist())) == len(mine[1])


def test_the_assignment_refuses_what_has_no_answer():
    with pytest.raises(ValueError, match="NaN"):
        linear_sum_assignment(np.array([[np.nan]]))
    with pytest.raises(ValueError, match=r"\(N, M\), got \(3,\)"):
        linear_sum_assignment(np.zeros(3))


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_matching_is_the_plain_loop_over_sorted_pairs(count, before, seed):
    rng = np.random.default_rng(seed)

    def some(number):
        corner = rng.uniform(0, 60, (number, 2))
        return np.concatenate([corner, corner + rng.uniform(30, 60, (number, 2))], axis=1).tolist()

    now, then = frame(some(count)), frame(some(before))
    overlaps = pairwise_iou(now.pred_boxes, then.pred_boxes)
    pairs = [(-float(overlaps[i, j]), i, j) for i in range(count) for j in range(before)]
    expected = {}
    for overlap, i, j in sorted(pairs):
        if -overlap >= 0.2 and i not in expected and j not in expected.values():
            expected[i] = j
    found, old = BBoxIOUTracker(**VIDEO, track_iou_threshold=0.2).match(now, then)
    assert dict(zip(found.tolist(), old.tolist(), strict=True)) == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("kind", TRACKERS)
def test_objects_on_a_gpu_stay_there(kind):
    masks = torch.zeros(2, *SIZE, dtype=torch.bool)
    tracker, on_host = (kind(**VIDEO, max_lost_frame_count=2) for _ in range(2))
    for boxes in (FIRST, SECOND, SECOND[:1]):
        given = frame(boxes, pred_masks=masks[: len(boxes)])
        found, expected = tracker.update(given.to("cuda")), on_host.update(given)
        assert found.ID == expected.ID
        assert found.pred_masks.is_cuda
        image = np.zeros((*SIZE, 3), np.uint8)
        drawn = [VideoVisualizer().draw_instance_predictions(image, x).get_image() for x in (found, expected)]
        assert np.array_equal(*drawn)
