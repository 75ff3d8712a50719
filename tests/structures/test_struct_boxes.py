import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lazycfg.structures import (
    Boxes,
    BoxMode,
    boxes,
    matched_pairwise_iou,
    pairwise_intersection,
    pairwise_ioa,
    pairwise_iou,
    pairwise_point_box_distance,
)


def random_boxes(n, seed=0, size=100.0):
    g = torch.Generator().manual_seed(seed)
    xy = torch.rand(n, 2, generator=g) * size
    return torch.cat((xy, xy + torch.rand(n, 2, generator=g) * size / 2), dim=1)


def iou_of_two(a, b):
    """By hand, in double precision."""
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return w * h / union if w * h > 0 else 0.0


class TestBoxMode:
    @pytest.mark.parametrize("make", [list, tuple, np.array, torch.tensor])
    def test_kind_is_kept(self, make):
        out = BoxMode.convert(make([5.0, 6.0, 10.0, 20.0]), BoxMode.XYWH_ABS, BoxMode.XYXY_ABS)
        assert type(out) is type(make([1.0]))
        assert list(out) == [5.0, 6.0, 15.0, 26.0]

    def test_integers_stay_integers(self):
        assert BoxMode.convert([1, 2, 3, 4], BoxMode.XYWH_ABS, BoxMode.XYXY_ABS) == [1, 2, 4, 6]
        out = BoxMode.convert(torch.tensor([[1, 2, 3, 4]]), BoxMode.XYWH_ABS, BoxMode.XYXY_ABS)
        assert out.dtype == torch.int64
        assert out.tolist() == [[1, 2, 4, 6]]

    @given(
        st.lists(st.floats(-1e4, 1e4), min_size=4, max_size=4),
        st.sampled_from([BoxMode.XYXY_ABS, BoxMode.XYWH_ABS, BoxMode.XYXY_REL, BoxMode.XYWH_REL]),
        st.sampled_from(list(BoxMode)),
    )
    def test_round_trip(self, box, mode, other):
        there = BoxMode.convert(box, mode, other, image_size=(48, 64))
        back = BoxMode.convert(there, other, mode, image_size=(48, 64))
        if other != BoxMode.XYWHA_ABS or (box[2] >= 0 and mode in (BoxMode.XYWH_ABS,) and box[3] >= 0):
            assert back == pytest.approx(box, abs=1e-6)

    def test_rotated(self):
        def upright(box):
            return BoxMode.convert(box, BoxMode.XYWHA_ABS, BoxMode.XYXY_ABS)

        assert upright([50.0, 50.0, 30.0, 20.0, 0.0]) == pytest.approx([35, 40, 65, 60])
        assert upright([50.0, 50.0, 30.0, 20.0, 90.0]) == pytest.approx([40, 35, 60, 65])
        # A square of diagonal 30 * sqrt(2) stands on its corner.
        r = 15 * 2**0.5
        assert upright([50.0, 50.0, 30.0, 30.0, 45.0]) == pytest.approx([50 - r, 50 - r, 50 + r, 50 + r])
        many = torch.tensor([[50.0, 50, 30, 20, 0], [50, 50, 30, 20, -90]])
        expected = torch.tensor([[35.0, 40, 65, 60], [40, 35, 60, 65]])
        torch.testing.assert_close(upright(many), expected)
        assert BoxMode.convert([5, 5, 10, 8], BoxMode.XYWH_ABS, BoxMode.XYWHA_ABS) == [10, 9, 10, 8, 0]

    def test_input_is_not_changed(self):
        box = torch.tensor([1.0, 2, 3, 4])
        BoxMode.convert(box, BoxMode.XYXY_ABS, BoxMode.XYXY_ABS)[0] = 9
        assert box[0] == 1

    def test_errors(self):
        with pytest.raises(ValueError, match="XYWHA_ABS has 5 numbers, got 4"):
            BoxMode.convert([1, 2, 3, 4], BoxMode.XYWHA_ABS, BoxMode.XYXY_ABS)
        with pytest.raises(ValueError, match="image_size"):
            BoxMode.convert([1, 2, 3, 4], BoxMode.XYXY_REL, BoxMode.XYXY_ABS)


class TestBoxes:
    def test_construction(self):
        assert Boxes([[1, 2, 3, 4]]).tensor.dtype == torch.float32
        assert Boxes(np.zeros((2, 4))).tensor.shape == (2, 4)
        assert Boxes([]).tensor.shape == (0, 4)
        assert Boxes(torch.zeros(3, 4, dtype=torch.bfloat16)).tensor.dtype == torch.float32
        shared = torch.zeros(2, 4)
        assert Boxes(shared).tensor is shared
        with pytest.raises(ValueError, match=r"\(N, 4\), got \(4,\)"):
            Boxes(torch.zeros(4))

    def test_geometry(self):
        b = Boxes([[0, 0, 10, 20], [5, 5, 5, 9], [-3, 2, 30, 12]])
        assert b.area().tolist() == [200, 0, 330]
        assert b.nonempty().tolist() == [True, False, True]
        assert b.nonempty(threshold=10).tolist() == [False, False, False]
        assert b.get_centers().tolist() == [[5, 10], [5, 7], [13.5, 7]]
        assert b.inside_box((25, 29)).tolist() == [True, True, False]
        assert b.inside_box((25, 29), boundary_threshold=4).tolist() == [True, True, True]

    def test_clip_and_scale(self):
        b = Boxes([[-3, -4, 30, 40], [100, 100, 200, 200]])
        b.clip((20, 25))
        assert b.tensor.tolist() == [[0, 0, 25, 20], [25, 20, 25, 20]]
        b.scale(2, 0.5)
        assert b.tensor.tolist() == [[0, 0, 50, 10], [50, 10, 50, 10]]

    def test_indexing(self):
        b = Boxes(random_boxes(5))
        assert b[1].tensor.shape == (1, 4)
        torch.testing.assert_close(b[1:3].tensor, b.tensor[1:3])
        torch.testing.assert_close(
            b[torch.tensor([True, False, False, True, False])].tensor, b.tensor[[0, 3]]
        )
        assert len(b[torch.zeros(5, dtype=torch.bool)]) == 0
        assert [t.shape for t in b] == [(4,)] * 5
        with pytest.raises(IndexError):
            b[torch.tensor(1)]

    def test_cat(self):
        a, b = Boxes(random_boxes(2)), Boxes(random_boxes(3, 1))
        torch.testing.assert_close(Boxes.cat([a, b]).tensor, torch.cat([a.tensor, b.tensor]))
        assert len(Boxes.cat([])) == 0

    def test_empty_keeps_the_graph(self):
        x = torch.ones(3, 4, requires_grad=True)
        Boxes(x[:0]).tensor.sum().backward()
        assert x.grad.abs().sum() == 0


class TestPairwise:
    def test_against_by_hand(self):
        a, b = random_boxes(20), random_boxes(30, 1)
        iou = pairwise_iou(Boxes(a), Boxes(b))
        expected = torch.tensor([[iou_of_two(x, y) for y in b.tolist()] for x in a.tolist()])
        torch.testing.assert_close(iou, expected)
        torch.testing.assert_close(matched_pairwise_iou(Boxes(a), Boxes(b[:20])), expected.diagonal())
        inter = pairwise_intersection(Boxes(a), Boxes(b))
        torch.testing.assert_close(pairwise_ioa(Boxes(a), Boxes(b)), inter / Boxes(b).area())

    def test_known_values(self):
        a = Boxes([[0, 0, 1, 1], [0, 0, 1, 1]])
        b = Boxes([[0, 0, 1, 1], [0, 0, 0.5, 1], [0, 0, 1, 0.5], [0.5, 0.5, 1.5, 1.5], [2, 2, 3, 3]])
        assert pairwise_iou(a, b)[1].tolist() == pytest.approx([1, 0.5, 0.5, 0.25 / 1.75, 0])
        assert pairwise_ioa(a, b)[0].tolist() == pytest.approx([1, 1, 1, 0.25, 0])

    def test_empty_boxes_give_zero(self):
        point = Boxes([[3, 3, 3, 3]])
        assert pairwise_iou(point, point).item() == 0
        assert matched_pairwise_iou(point, point).item() == 0
        assert pairwise_ioa(Boxes([[0, 0, 9, 9]]), point).item() == 0

    @pytest.mark.parametrize("op", [pairwise_iou, pairwise_ioa, pairwise_intersection])
    def test_batched_equals_single(self, op):
        a = torch.stack([random_boxes(7, s) for s in range(3)])
        b = torch.stack([random_boxes(5, s + 9) for s in range(3)])
        batched = op(a, b)
        assert batched.shape == (3, 7, 5)
        for i in range(3):
            assert torch.equal(batched[i], op(Boxes(a[i]), Boxes(b[i])))
        assert torch.equal(op(a, b[0]), torch.stack([op(a[i], b[0]) for i in range(3)]))

    def test_chunks_change_nothing(self, monkeypatch):
        a = torch.stack([random_boxes(17, s) for s in range(2)])
        b = random_boxes(6, 5)
        whole = pairwise_iou(a, b)
        monkeypatch.setattr(boxes, "_CHUNK_ENTRIES", 50)
        assert torch.equal(pairwise_iou(a, b), whole)

    def test_none(self):
        assert pairwise_iou(Boxes([]), Boxes(random_boxes(3))).shape == (0, 3)
        assert pairwise_iou(Boxes(random_boxes(3)), Boxes([])).shape == (3, 0)
        assert matched_pairwise_iou(Boxes([]), Boxes([])).shape == (0,)

    def test_matched_must_match(self):
        with pytest.raises(ValueError, match="3 and 2"):
            matched_pairwise_iou(Boxes(random_boxes(3)), Boxes(random_boxes(2)))

    def test_point_distance(self):
        d = pairwise_point_box_distance(torch.tensor([[3.0, 4.0], [20, 20]]), Boxes([[0, 0, 10, 10]]))
        assert d.tolist() == [[[3, 4, 7, 6]], [[20, 20, -10, -10]]]
