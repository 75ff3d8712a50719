import copy
import pickle

import numpy as np
import pytest
import torch

from lazycfg.structures import Boxes, ImageList, Instances


@pytest.fixture
def three():
    return Instances(
        (48, 64),
        pred_boxes=Boxes(torch.arange(12.0).view(3, 4)),
        scores=torch.tensor([0.9, 0.2, 0.7]),
        names=["a", "b", "c"],
    )


class TestInstances:
    def test_fields(self, three):
        assert len(three) == 3
        assert three.image_size == (48, 64)
        assert three.has("scores")
        assert "scores" in three
        assert "gt_boxes" not in three
        assert list(three.get_fields()) == ["pred_boxes", "scores", "names"]
        three.pred_classes = torch.zeros(3)
        assert three.get("pred_classes") is three.pred_classes
        three.remove("pred_classes")
        del three.names
        assert list(three.get_fields()) == ["pred_boxes", "scores"]

    def test_wrong_name_suggests_the_right_one(self, three):
        with pytest.raises(AttributeError, match=r"Cannot find field 'score'.*'scores'"):
            three.score  # noqa: B018
        with pytest.raises(KeyError, match="pred_boxes"):
            three.get("pred_box")
        with pytest.raises(KeyError):
            three.remove("nothing")
        assert not hasattr(three, "gt_masks")

    def test_length_is_checked(self, three):
        with pytest.raises(ValueError, match="'gt_classes' has length 2, the others 3"):
            three.gt_classes = torch.zeros(2)
        with pytest.raises(ValueError, match="length 1"):
            Instances((2, 2), a=[1, 2], b=[3])

    def test_indexing(self, three):
        assert three[1].names == ["b"]
        assert three[-1].names == ["c"]
        assert three[:2].names == ["a", "b"]
        kept = three[three.scores > 0.5]
        assert kept.names == ["a", "c"]
        assert kept.pred_boxes.tensor.tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
        assert three[torch.tensor([2, 0])].scores.tolist() == pytest.approx([0.7, 0.9])
        assert three[[2]].names == ["c"]
        assert len(three[torch.zeros(3, dtype=torch.bool)]) == 0
        assert [i.names for i in three] == [["a"], ["b"], ["c"]]
        for wrong in (3, -4, torch.tensor([True])):
            with pytest.raises(IndexError):
                three[wrong]

    def test_no_fields(self):
        none = Instances((4, 4))
        assert len(none) == 0
        with pytest.raises(TypeError, match=r"no fields.*for output in model"):
            iter(none)
        with pytest.raises(TypeError, match=r"not by 'instances'.*Predictor"):
            none["instances"]

    @pytest.mark.parametrize(
        ("index", "names"),
        [
            ([True, False, True], ["a", "c"]),
            (np.array([True, False, False]), ["a"]),
            (torch.tensor([False, True, True]), ["b", "c"]),
            ([False, False, False], []),
            ([], []),
            ([2, np.int64(0), torch.tensor(-2)], ["c", "a", "b"]),
            (np.array([1, 1], dtype=np.int16), ["b", "b"]),
            (torch.tensor([2, 0], dtype=torch.int8), ["c", "a"]),
            (range(2), ["a", "b"]),
            (torch.tensor(1), ["b"]),
            (np.int32(-1), ["c"]),
        ],
    )
    def test_every_field_follows_the_index(self, three, index, names):
        rows = ["abc".index(name) for name in names]
        chosen = three[index]
        assert chosen.names == names
        assert torch.equal(chosen.scores, three.scores[rows])
        assert torch.equal(chosen.pred_boxes.tensor, three.pred_boxes.tensor[rows])

    @pytest.mark.parametrize(
        "index",
        [
            True,
            1.0,
            None,
            "scores",
            (0, 1),
            [True, 2],
            [0.5],
            [[0]],
            torch.tensor(True),
            torch.tensor([1.0]),
            torch.tensor([[1]]),
            torch.tensor([1, 0, 1], dtype=torch.uint8),
            np.array([1, 0, 1], dtype=np.uint8),
        ],
        ids=repr,
    )
    def test_an_index_of_unclear_meaning_is_refused(self, three, index):
        with pytest.raises(TypeError, match="index"):
            three[index]

    def test_cat(self, three):
        both = Instances.cat([three, three[:1]])
        assert both.names == ["a", "b", "c", "a"]
        assert both.pred_boxes.tensor.shape == (4, 4)
        assert both.image_size == (48, 64)
        assert Instances.cat([three]) is three
        with pytest.raises(ValueError, match="different sizes"):
            Instances.cat([Instances((1, 2), a=[1]), Instances((2, 1), a=[1])])
        with pytest.raises(ValueError, match="items 0 and 1 do not have the same fields: b"):
            Instances.cat([Instances((1, 2), a=[1]), Instances((1, 2), a=[1], b=[2])])
        with pytest.raises(ValueError, match="nothing to join"):
            Instances.cat([])

    def test_to_makes_a_copy(self, three):
        moved = three.to("cpu", non_blocking=True)
        moved.scores = torch.zeros(3)
        assert three.scores[0] > 0
        assert moved.names is three.names

    @pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))])
    def test_copies(self, three, again):
        other = again(three)
        assert other.image_size == (48, 64)
        assert other.names == ["a", "b", "c"]
        assert torch.equal(other.pred_boxes.tensor, three.pred_boxes.tensor)

    def test_repr(self, three):
        assert repr(three).startswith("Instances(num_instances=3, image_height=48, image_width=64, fields=[")

    def test_a_mask_is_read_once(self, three):
        class CountNonzero(torch.utils._python_dispatch.TorchDispatchMode):
            seen = 0

            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                CountNonzero.seen += func is torch.ops.aten.nonzero.default
                return func(*args, **(kwargs or {}))

        mask = three.scores > 0.5
        with CountNonzero():
            three[mask]
        assert CountNonzero.seen <= 1


class TestImageList:
    def test_padding(self):
        images = [torch.full((3, 5, 7), 1.0), torch.full((3, 6, 4), 2.0)]
        batch = ImageList.from_tensors(images, size_divisibility=4, pad_value=9.0)
        assert batch.tensor.shape == (2, 3, 8, 8)
        assert batch.image_sizes == [(5, 7), (6, 4)]
        assert len(batch) == 2
        for i, image in enumerate(images):
            assert torch.equal(batch[i], image)
        inside = batch.valid_mask()[:, None]
        assert inside.sum().item() == 5 * 7 + 6 * 4
        assert (batch.tensor.masked_select(~inside) == 9).all()

    def test_same_size_is_stacked(self):
        images = [torch.rand(3, 8, 8), torch.rand(3, 8, 8)]
        assert torch.equal(ImageList.from_tensors(images, 4).tensor, torch.stack(images))

    def test_dtype_and_rank_are_kept(self):
        batch = ImageList.from_tensors(
            [torch.ones(2, 3, dtype=torch.uint8), torch.ones(3, 2, dtype=torch.uint8)]
        )
        assert batch.tensor.dtype == torch.uint8
        assert batch.tensor.shape == (2, 3, 3)

    def test_constraints(self):
        images = [torch.rand(3, 5, 7)]
        assert ImageList.from_tensors(images, 4, padding_constraints={"square_size": 16}).tensor.shape[
            -2:
        ] == (
            16,
            16,
        )
        assert ImageList.from_tensors(images, 4, padding_constraints={"size_divisibility": 6}).tensor.shape[
            -2:
        ] == (6, 12)
        with pytest.raises(ValueError, match="5x7 does not fit into square_size=6"):
            ImageList.from_tensors(images, padding_constraints={"square_size": 6})

    def test_errors(self):
        with pytest.raises(ValueError, match="at least one"):
            ImageList.from_tensors([])
        with pytest.raises(ValueError, match=r"image 1 has shape \(1, 2, 2\)"):
            ImageList.from_tensors([torch.zeros(3, 2, 2), torch.zeros(1, 2, 2)])

    def test_gradients_flow(self):
        x = torch.rand(3, 2, 2, requires_grad=True)
        ImageList.from_tensors([x, torch.rand(3, 4, 4)]).tensor.sum().backward()
        assert (x.grad == 1).all()

    def test_any_number_of_channel_dimensions(self):
        clips = [torch.rand(5, 3, 4, 6), torch.rand(5, 3, 6, 2)]
        batch = ImageList.from_tensors(clips, 4)
        assert batch.tensor.shape == (2, 5, 3, 8, 8)
        assert all(torch.equal(batch[i], clip) for i, clip in enumerate(clips))
