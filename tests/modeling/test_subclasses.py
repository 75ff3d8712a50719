"""A subclass that edits what its parent returns: what comes out of the model is what it has written."""

from collections.abc import Callable
from contextlib import ExitStack

import pytest
import torch
from edited_instances import (
    BOX,
    ROTATED_BOX,
    Written,
    assert_parts_belong,
    assert_same,
    built,
    copied,
    emptied,
    every_edit,
    extended,
    in_output_size,
    inputs,
    overridden,
    part,
)

from lazycfg.evaluation.predictions import ImagePrediction
from lazycfg.structures import Boxes, Instances, RotatedBoxes

# family, the part that is subclassed, its method, where the list is in what it returns
DETECTIONS = [
    ("mask", "roi_heads", "forward", 0),
    ("mask", "roi_heads", "_forward_box", None),
    ("mask", "roi_heads", "_forward_mask", None),
    ("mask", "roi_heads", "forward_with_given_boxes", None),
    ("mask", "roi_heads.box_predictor", "inference", 0),
    ("mask", "roi_heads.mask_head", "forward", None),
    ("mask", "", "detect", None),
    ("keypoint", "roi_heads", "_forward_box", None),
    ("keypoint", "roi_heads", "_forward_keypoint", None),
    ("keypoint", "roi_heads.keypoint_head", "forward", None),
    ("keypoint", "roi_heads.box_predictor", "inference", 0),
    ("cascade", "roi_heads", "forward", 0),
    ("cascade", "roi_heads", "_forward_box", None),
    ("cascade", "roi_heads.box_predictor.2", "inference", 0),
    ("c4", "roi_heads", "forward", 0),
    ("c4", "roi_heads.box_predictor", "inference", 0),
    ("rotated", "roi_heads", "forward", 0),
    ("rotated", "roi_heads.box_predictor", "inference", 0),
    ("panoptic", "roi_heads", "forward", 0),
    ("panoptic", "roi_heads.box_predictor", "inference", 0),
    ("retinanet", "", "forward_inference", None),
    ("retinanet", "", "inference_single_image", None),
    ("fcos", "", "forward_inference", None),
    ("fcos", "", "inference_single_image", None),
    ("rpn", "proposal_generator", "forward", 0),
    ("rpn", "proposal_generator", "predict_proposals", None),
    ("rpn", "proposal_generator", "propose_and_sample", 0),
]


@every_edit
@pytest.mark.parametrize(("name", "where", "method", "at"), DETECTIONS, ids=lambda value: str(value))
def test_detections(name: str, where: str, method: str, at: int | None, edit: Callable) -> None:
    model, batch = built(name).eval(), inputs(name)
    written = Written(edit, at)
    with torch.no_grad(), overridden(part(model, where), method, written):
        outputs = model(batch)
    assert len(written.lists) == len(batch)
    for item, output, own in zip(batch, outputs, written.lists, strict=True):
        got = output["proposals" if name == "rpn" else "instances"]
        assert_same(got, in_output_size(own, item))
        assert_parts_belong(got)
        if name != "rpn" and not got.has("names"):  # what the evaluation sees
            prediction = ImagePrediction.from_instances(1, got)
            assert len(prediction.boxes) == len(got)
            torch.testing.assert_close(torch.from_numpy(prediction.boxes), got.pred_boxes.tensor)
    if edit is not emptied:
        assert sum(len(x) for x in written.lists) > 0


@every_edit
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("mask", "forward"),
        ("mask", "predict_proposals"),
        ("cascade", "predict_proposals"),
        ("c4", "forward"),
        ("rotated", "predict_proposals"),
    ],
)
def test_proposals_of_two_stage_detectors(name: str, method: str, edit: Callable) -> None:
    """The heads are given what a subclass of the RPN returns, and nothing else."""
    model, batch = built(name).eval(), inputs(name)
    written, seen = Written(edit, 0 if method == "forward" else None), []
    generator, heads = model.proposal_generator, model.roi_heads
    hook = heads.register_forward_pre_hook(lambda module, args: seen.extend(copied(x) for x in args[2]))
    try:
        with torch.no_grad(), overridden(generator, method, written):
            outputs = model(batch)
        heads.proposal_append_gt = edit is not extended  # whose fields the ground truth has not
        model.train()
        with overridden(generator, method, Written(edit, 0 if method == "forward" else None)):
            losses = model(batch)
    finally:
        heads.proposal_append_gt = True
        hook.remove()
    for got, own in zip(seen, written.lists, strict=False):
        assert_same(got, own)
        assert set(got.get_fields()) == set(own.get_fields())
    if edit is emptied:
        assert [len(x["instances"]) for x in outputs] == [0, 0]
    assert all(torch.isfinite(value) for value in losses.values())


@pytest.mark.parametrize("name", ["mask", "cascade", "c4", "rotated"])
def test_predicted_boxes_and_probabilities(name: str) -> None:
    """`predict_boxes` and `predict_probs` are what detections are made of."""
    model, batch = built(name).eval(), inputs(name)
    predictor = model.roi_heads.box_predictor
    predictors = list(predictor) if name == "cascade" else [predictor]
    box = torch.tensor(ROTATED_BOX if name == "rotated" else BOX)
    kind = RotatedBoxes if name == "rotated" else Boxes

    def moved(boxes: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        return [box.repeat(len(x), x.shape[1] // len(box)) for x in boxes]

    def certain(probs: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        for x in probs:
            x.zero_()[:, 1] = 0.875
        return list(probs)

    with torch.no_grad(), ExitStack() as stack:
        stack.enter_context(overridden(predictors[-1], "predict_boxes", moved))
        for each in predictors:
            stack.enter_context(overridden(each, "predict_probs", certain))
        outputs = model(batch)
    for item, output in zip(batch, outputs, strict=True):
        expected = Instances(item["image"].shape[-2:], pred_boxes=kind(box[None]))
        expected.scores, expected.pred_classes = torch.tensor([0.875]), torch.tensor([1])
        assert_same(output["instances"], in_output_size(expected, item))


@pytest.mark.parametrize("name", ["retinanet", "fcos"])
def test_predictions_of_dense_heads(name: str) -> None:
    model, batch = built(name).eval(), inputs(name)
    chosen = lambda maps: tuple([x * 0 + k for x in levels] for k, levels in enumerate(maps, start=1))  # noqa: E731
    with torch.no_grad(), overridden(model.head, "forward", chosen):
        scores = torch.cat([x["instances"].scores for x in model(batch)])
    expected = torch.tensor(1.0).sigmoid()
    if name == "fcos":
        expected = (expected * torch.tensor(3.0).sigmoid()).sqrt()
    assert len(scores) > 0
    torch.testing.assert_close(scores, expected.expand_as(scores))
