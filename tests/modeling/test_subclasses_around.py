"""A subclass that edits what goes into a model or what is made of its results: it is obeyed, or refused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from edited_instances import (
    BOX,
    Written,
    assert_parts_belong,
    assert_same,
    built,
    emptied,
    every_edit,
    extended,
    filtered,
    in_output_size,
    in_place,
    inputs,
    overridden,
    part,
    reordered,
    replaced,
)
from torch import nn

from lazycfg.layers.nms_groups import suppression_steps
from lazycfg.modeling import DatasetMapperTTA, GeneralizedRCNNWithTTA, add_ground_truth_to_proposals
from lazycfg.modeling.proposal_generator import proposal_utils
from lazycfg.structures import Boxes, Instances, Keypoints
from lazycfg.utils import SyncCounter


def test_images_that_are_preprocessed() -> None:
    for name in ("mask", "retinanet", "semantic"):
        model = built(name).eval()
        seen = []
        hook = model.backbone.register_forward_pre_hook(lambda module, args, seen=seen: seen.append(args[0]))

        def gray(images: Any) -> Any:
            images.tensor[:] = 0.25
            return images

        with torch.no_grad(), overridden(model, "preprocess_image", gray):
            model(inputs(name))
        hook.remove()
        assert bool((seen[0] == 0.25).all())


def test_semantic_logits() -> None:
    for name in ("semantic", "panoptic"):
        model = built(name).eval()

        def one_class(logits: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(logits).index_fill_(1, torch.tensor([3]), 1.0)

        with torch.no_grad(), overridden(model.sem_seg_head, "layers", one_class):
            outputs = model(inputs(name))
        assert all(bool((x["sem_seg"].argmax(0) == 3).all()) for x in outputs)
        if name == "panoptic":
            stuff = [s["category_id"] for x in outputs for s in x["panoptic_seg"][1] if not s["isthing"]]
            assert set(stuff) == {3}


@pytest.mark.parametrize("change", ["reordered", "rescored"])
def test_panoptic_maps_follow_edited_instances(change: str) -> None:
    """Instances are painted by their scores, wherever they stand in the list."""
    model, batch = built("panoptic").eval(), inputs("panoptic")
    model.combine_instances_score_thresh = 0.3
    chosen: list[int] = []

    def edit(result: Any) -> Any:
        instances, losses = result
        for i, x in enumerate(instances):
            x.scores = torch.linspace(0.9, 0.1, len(x))
            if change == "rescored":
                chosen.append(int((x.pred_masks > 0.5).flatten(1).sum(1).argmax()))
                x.scores = torch.where(torch.arange(len(x)) == chosen[-1], 0.9, 0.1)
            instances[i] = x if plainly or change == "rescored" else reordered(x)
        return instances, losses

    with torch.no_grad(), overridden(model.roi_heads, "forward", edit):
        plainly = True
        plain = model(batch)
        plainly = False
        outputs = model(batch)
    for before, x, best in zip(plain, outputs, chosen or [0, 0], strict=False):
        things = [s for s in x["panoptic_seg"][1] if s["isthing"]]
        if change == "reordered":
            assert torch.equal(before["panoptic_seg"][0], x["panoptic_seg"][0])
            numbers = [len(x["instances"]) - 1 - s["instance_id"] for s in things]
            assert numbers == [s["instance_id"] for s in before["panoptic_seg"][1] if s["isthing"]]
        else:
            assert [s["instance_id"] for s in things] == [best]
            assert things[0]["score"] == pytest.approx(0.9)


@pytest.mark.parametrize("name", ["mask", "panoptic", "keypoint"])
def test_postprocessing(name: str) -> None:
    model, batch = built(name).eval(), inputs(name)
    for wrapper in (lambda model: model, with_tta):

        def keep_two(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [{"instances": x["instances"][:2], "mine": i} for i, x in enumerate(outputs)]

        with torch.no_grad(), overridden(model, "_postprocess", keep_two):
            outputs = wrapper(model)(batch)
        assert [len(x["instances"]) for x in outputs] == [2, 2]
        assert [x["mine"] for x in outputs] == [0, 1]


def test_postprocessing_without_self() -> None:
    """As the reference's: three arguments."""
    model, kind = built("mask").eval(), type(built("mask"))

    def raw(instances: list[Instances], inputs: list[dict[str, Any]], sizes: list[tuple[int, int]]) -> Any:
        return [{"raw": x} for x in instances]

    model.__class__ = type("Mine", (kind,), {"_postprocess": staticmethod(raw)})
    try:
        with torch.no_grad():
            for tried in (model, with_tta(model)):
                assert [set(x) for x in tried(inputs("mask"))] == [{"raw"}, {"raw"}]
    finally:
        model.__class__ = kind


def with_tta(model: nn.Module) -> GeneralizedRCNNWithTTA:
    mapper = DatasetMapperTTA(min_sizes=(64,), flip=False)
    return GeneralizedRCNNWithTTA(model=model, tta_mapper=mapper).eval()


BEFORE_MERGING = [
    ("mask", "roi_heads", "_forward_box", None),
    ("mask", "roi_heads.box_predictor", "inference", 0),
    ("keypoint", "roi_heads.box_predictor", "inference", 0),
    ("cascade", "roi_heads.box_predictor.2", "inference", 0),
    ("panoptic", "roi_heads", "forward", 0),
]


@every_edit
@pytest.mark.parametrize(("name", "where", "method", "at"), BEFORE_MERGING, ids=lambda value: str(value))
def test_detections_through_test_time_augmentation(
    name: str, where: str, method: str, at: int | None, edit: Callable
) -> None:
    model, batch = built(name).eval(), inputs(name)
    with torch.no_grad(), overridden(part(model, where), method, Written(edit, at)):
        if edit is extended:
            with pytest.raises(TypeError, match="'names' is list"):
                with_tta(model)(batch)
            return
        outputs = with_tta(model)(batch)
        plain = [model([item])[0] for item in batch]
    for item, output, expected in zip(batch, outputs, plain, strict=True):
        got = output["instances"]
        assert_parts_belong(got)
        if edit is emptied:
            assert len(got) == 0
        elif edit in (in_place, replaced):
            # of equal boxes NMS keeps one of each class
            box = Instances(item["image"].shape[-2:], pred_boxes=Boxes(torch.tensor([BOX])))
            (target,) = in_output_size(box, item).pred_boxes.tensor
            torch.testing.assert_close(got.pred_boxes.tensor, target.expand(len(got), 4))
            assert len(got) == len(set(expected["instances"].pred_classes.tolist())) > 0
        elif edit is filtered:
            assert 0 < len(got) <= len(expected["instances"])
        else:
            assert len(got) == len(expected["instances"]) > 0


def test_fields_of_detections_stay_with_their_boxes_in_test_time_augmentation() -> None:
    model, batch = built("mask").eval(), inputs("mask")

    def embedded(result: Any) -> Any:
        for x in result[0]:
            x.embedding = x.scores[:, None] * 2
        return result

    with torch.no_grad(), overridden(model.roi_heads.box_predictor, "inference", embedded):
        for x in with_tta(model)(batch):
            torch.testing.assert_close(x["instances"].embedding[:, 0], x["instances"].scores * 2)


def test_what_cannot_be_meant_is_refused() -> None:
    model, batch = built("mask").eval(), inputs("mask")
    heads = model.roi_heads

    def refused(match: str, owner: nn.Module, method: str, change: Callable, kind: type = ValueError) -> None:
        with torch.no_grad(), overridden(owner, method, change), pytest.raises(kind, match=match):
            model(batch)

    refused("1 Instances for 2 images", heads, "forward", lambda out: (out[0][:1], out[1]))
    refused("1 Instances for 2 images", model, "detect", lambda out: out[:1])
    refused("element 0 is a dict", heads, "forward", lambda out: ([{}, {}], out[1]), TypeError)
    refused("rows of scores", heads.box_predictor, "predict_boxes", lambda out: [x[:1] for x in out])
    refused("scores of 79 classes", heads.box_predictor, "predict_probs", lambda out: [x[:, 1:] for x in out])

    def bare(out: list[Instances]) -> list[Instances]:
        out[0].pred_boxes = out[0].pred_boxes.tensor
        return out

    refused(r"image 0 is a tensor: make it Boxes", heads, "_forward_mask", bare, TypeError)

    def without_boxes(out: list[Instances]) -> list[Instances]:
        out[1].remove("pred_boxes")
        return out

    refused("image 1 have neither pred_boxes", heads, "_forward_mask", without_boxes)
    whole = lambda out: [with_masks(x, torch.zeros(len(x), 9, 9)) for x in out]  # noqa: E731
    refused("relative|inside the boxes", heads, "_forward_mask", whole)
    cascade = built("cascade").train()
    fewer = lambda out: [x[1:] for x in out]  # noqa: E731
    with overridden(cascade.roi_heads, "_create_proposals_from_boxes", fewer):
        with pytest.raises(ValueError, match="stage 1 of the cascade was given"):
            cascade(inputs("cascade"))
        with torch.no_grad(), pytest.raises(ValueError, match="row by row"):
            cascade.eval()(inputs("cascade"))


def with_masks(x: Instances, masks: torch.Tensor) -> Instances:
    x.pred_masks = masks
    return x


def test_keypoints_that_are_replaced() -> None:
    model, batch = built("keypoint").eval(), inputs("keypoint")

    def replace(instances: list[Instances]) -> list[Instances]:
        for i, x in enumerate(instances):
            points = torch.full((len(x), 17, 3), 2.0)
            x.pred_keypoints = Keypoints(points) if i else points
        return instances

    with torch.no_grad(), overridden(model.roi_heads, "_forward_keypoint", replace):
        first, second = (x["instances"].pred_keypoints for x in model(batch))
    assert isinstance(second, Keypoints)
    for points in (first, second.tensor):
        assert len(points) > 0
        assert bool((points == torch.tensor([4.0, 4.0, 2.0])).all())


@pytest.mark.parametrize(
    "name",
    ["mask", "cascade", "c4", "keypoint", "rotated", "rpn", "retinanet", "fcos", "panoptic", "semantic"],
)
def test_no_images(name: str) -> None:
    model = built(name)
    assert model.eval()([]) == []
    with pytest.raises(ValueError, match="without images"):
        model.train()([])


def test_a_box_predictor_without_images() -> None:
    predictor = built("mask").roi_heads.box_predictor
    predictions = predictor(torch.zeros(0, 32))
    assert {key: float(x.detach()) for key, x in predictor.losses(predictions, []).items()} == {
        "loss_cls": 0,
        "loss_box_reg": 0,
    }
    assert predictor.inference(predictions, []) == ([], [])
    assert with_tta(built("mask"))([]) == []


@pytest.mark.parametrize("name", ["mask", "retinanet", "rotated"])
def test_anchors_edited_in_place(name: str) -> None:
    """The second step is given anchors that the first one has not touched."""
    model, batch = built(name).eval(), inputs(name)
    generator = part(
        model, "anchor_generator" if name == "retinanet" else "proposal_generator.anchor_generator"
    )
    seen = []

    def shrunk(anchors: list[Any]) -> list[Any]:
        for level in anchors:
            level.tensor.mul_(0.5)
        seen.append(torch.cat([level.tensor for level in anchors]))
        return anchors

    with torch.no_grad():
        with overridden(generator, "forward", shrunk):
            model(batch)
            model(batch)
        plain = torch.cat([x.tensor for x in generator([torch.zeros(1, 1, 4, 4)] * len(generator.strides))])
        with torch.no_grad():
            generator.cell_anchors[0].mul_(2)
        larger = torch.cat([x.tensor for x in generator([torch.zeros(1, 1, 4, 4)] * len(generator.strides))])
        generator.cell_anchors[0].div_(2)
    assert torch.equal(*seen)
    assert not torch.equal(plain, larger)


def with_fields(boxes: torch.Tensor, **fields: Any) -> Instances:
    return Instances((50, 60), proposal_boxes=Boxes(boxes), **fields)


def test_fields_of_proposals_are_kept_where_ground_truth_is_added() -> None:
    boxes = torch.tensor([[1.0, 2, 30, 40], [5, 5, 20, 20], [0, 0, 9, 9]])
    gt = [
        Instances((50, 60), gt_boxes=Boxes(boxes[:1] + 1), angle=torch.tensor([7.0]), words=["gt"]),
        Instances((50, 60), gt_boxes=Boxes(boxes[:0])),
    ]
    logits = torch.tensor([0.5, 0.25, 0.125])
    given = [
        with_fields(boxes[:2], objectness_logits=logits[:2], angle=torch.tensor([1.0, 2]), words=["a", "b"]),
        with_fields(boxes[2:], objectness_logits=logits[2:], angle=torch.tensor([3.0]), words=["c"]),
    ]
    first, second = add_ground_truth_to_proposals(gt, given)
    assert torch.equal(first.proposal_boxes.tensor, torch.cat((boxes[:2], boxes[:1] + 1)))
    assert first.angle.tolist() == [1, 2, 7]
    assert first.words == ["a", "b", "gt"]
    assert first.objectness_logits[:2].tolist() == [0.5, 0.25]
    assert first.objectness_logits[2] > 20
    assert second.get_fields().keys() == first.get_fields().keys()
    assert second.words == ["c"]
    assert [len(x) for x in given] == [2, 1]  # they stay as they are
    gt[0].remove("angle")
    with pytest.raises(
        ValueError, match=r"'angle', and the ground truth of image 0.*proposal_append_gt=False"
    ):
        add_ground_truth_to_proposals(gt, given)
    # boxes alone, without logits, and nothing at all
    (plain,) = add_ground_truth_to_proposals([Boxes(boxes)], [with_fields(boxes)])
    assert list(plain.get_fields()) == ["proposal_boxes"]
    assert len(plain) == 6
    (alone,) = add_ground_truth_to_proposals([Boxes(boxes)], [Instances((50, 60))])
    assert len(alone) == 3
    assert add_ground_truth_to_proposals([], []) == []


def test_keypoints_missing_from_the_data() -> None:
    batch = inputs("keypoint")
    for item in batch:
        item["instances"].remove("gt_keypoints")
    with pytest.raises(ValueError, match=r"use_keypoint=True.*keypoint_head=None"):
        built("keypoint").train()(batch)


def test_proposals_are_known_after_one_wait_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of a device, on the CPU: the end of the suppression and the counts are read together."""

    def steps(boxes: torch.Tensor, scores: torch.Tensor, level_sizes: list[int], threshold: float) -> Any:
        for parts, settled in suppression_steps(boxes.split(list(level_sizes), dim=1), threshold):
            yield torch.cat(parts, dim=1), settled

    model, batch = built("rpn").eval(), inputs("rpn")
    with torch.no_grad():
        expected = model(batch)
        monkeypatch.setattr(proposal_utils, "suppress_levels", steps)
        with SyncCounter() as counter:
            got = model(batch)
    assert counter.num_syncs == 2, counter.waits()  # and one for the boxes that are empty in the output
    for a, b in zip(expected, got, strict=True):
        assert_same(b["proposals"], a["proposals"])
