"""A subclass that edits samples, labels or losses: what the training gets is what it has written."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from edited_instances import (
    BOX,
    SIZES,
    Written,
    built,
    emptied,
    every_edit,
    extended,
    inputs,
    overridden,
    part,
)
from tiny_families import make_inputs
from torch import nn

from lazycfg.structures import BitMasks, Boxes, Instances, PolygonMasks
from lazycfg.utils import EventStorage


def background(sampled: list[Instances], num_classes: int) -> list[Instances]:
    for x in sampled:
        x.gt_classes[:] = num_classes
    return sampled


@every_edit
@pytest.mark.parametrize("name", ["mask", "keypoint", "cascade", "c4", "rotated", "panoptic"])
def test_sampled_proposals(name: str, edit: Callable) -> None:
    """The losses are those of the proposals that an overridden `label_and_sample_proposals` returns, and
    masks and keypoints are trained on its foreground."""
    model, batch = built(name).train(), inputs(name)
    heads = model.roi_heads
    written, foreground = Written(edit, None), []
    branch = {"keypoint": "keypoint_head", "rotated": None}.get(name, "mask_head")
    hooks = []
    if branch:
        head = getattr(heads, branch)
        hooks.append(head.register_forward_pre_hook(lambda module, args: foreground.extend(args[1])))
    try:
        with overridden(heads, "label_and_sample_proposals", written), EventStorage() as storage:
            losses = model(batch)
            logged = storage.latest()
    finally:
        for hook in hooks:
            hook.remove()
    assert all(torch.isfinite(value) for value in losses.values())
    counts = [int(((x.gt_classes >= 0) & (x.gt_classes < heads.num_classes)).sum()) for x in written.lists]
    if branch == "mask_head":
        assert [len(x) for x in foreground] == counts
        for x, own in zip(foreground, written.lists, strict=True):
            rows = own.gt_classes < heads.num_classes
            torch.testing.assert_close(x.proposal_boxes.tensor, own.proposal_boxes.tensor[rows])
            assert torch.equal(x.gt_classes, own.gt_classes[rows])
            assert len(x) == 0 or len(x.gt_masks) == len(x)
    if edit is emptied:
        for key, value in losses.items():
            if key in ("loss_mask", "loss_keypoint", "loss_cls", "loss_box_reg"):
                assert float(value.detach()) == 0
        if name == "keypoint":
            assert logged["keypoint_head/num_fg_samples"][0] == 0
            assert logged["kpts_num_skipped_batches"][0] > 0
    if edit is extended and branch:
        assert all(len(x.names) == len(x) for x in foreground)


@pytest.mark.parametrize("name", ["mask", "keypoint", "cascade", "c4", "panoptic"])
def test_foreground_made_background(name: str) -> None:
    """As a subclass of detectron2's heads does: fewer proposals are foreground after all."""
    model = built(name).train()
    heads = model.roi_heads
    change = functools.partial(background, num_classes=heads.num_classes)
    with overridden(heads, "label_and_sample_proposals", change):
        losses = model(inputs(name))
    (loss,) = [value for key, value in losses.items() if key in ("loss_mask", "loss_keypoint")]
    assert float(loss.detach()) == 0
    suffix = "_stage0" if name == "cascade" else ""
    assert float(losses[f"loss_box_reg{suffix}"].detach()) == 0


def test_background_made_foreground() -> None:
    """Every sampled proposal has the masks of an object, not only the foreground."""
    model = built("mask").train()

    def foreground(sampled: list[Instances]) -> list[Instances]:
        for x in sampled:
            x.gt_classes = torch.ones_like(x.gt_classes)
        return sampled

    seen = []
    heads = model.roi_heads
    hook = heads.mask_head.register_forward_pre_hook(lambda module, args: seen.extend(args[1]))
    for masks in ("polygons", "bitmasks"):
        seen.clear()
        with overridden(heads, "label_and_sample_proposals", foreground):
            losses = model(make_inputs(2, "mask", masks, SIZES))
        assert [len(x.gt_masks) for x in seen] == [len(x) for x in seen]
        assert min(len(x) for x in seen) > 30
        assert torch.isfinite(losses["loss_mask"])
    hook.remove()


@pytest.mark.parametrize("masks", ["polygons", "bitmasks"])
def test_masks_of_sampled_proposals_edited(masks: str) -> None:
    """Masks that a subclass replaces, or empties in place, are what the mask head is trained on."""
    model = built("mask").train()
    heads = model.roi_heads

    def loss(change: Callable[[Instances], None]) -> float:
        def edit(sampled: list[Instances]) -> list[Instances]:
            for x in sampled:
                change(x)
            return sampled

        torch.manual_seed(0)
        with overridden(heads, "label_and_sample_proposals", edit), EventStorage() as storage:
            model(make_inputs(2, "mask", masks, SIZES))
            return float(storage.latest()["mask_rcnn/false_negative"][0])

    def replace(x: Instances) -> None:
        x.gt_masks = BitMasks(torch.zeros((len(x), *x.image_size), dtype=torch.bool))

    def erase(x: Instances) -> None:
        if masks == "bitmasks":
            x.gt_masks.tensor[:] = False
        else:
            x.gt_masks = PolygonMasks([[] for _ in range(len(x))])

    assert loss(lambda x: None) > 0
    assert loss(replace) == loss(erase) == 0


def test_samples_are_those_of_the_overridden_method() -> None:
    model = built("mask").train()
    heads = model.roi_heads

    def only_background(result: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        index, classes = result
        return index, classes.masked_fill(classes < heads.num_classes, -1)

    with overridden(heads, "_sample_proposals", only_background), EventStorage() as storage:
        losses = model(inputs("mask"))
        assert storage.latest()["roi_head/num_fg_samples"][0] == 0
        assert storage.latest()["roi_head/num_bg_samples"][0] > 0
    assert float(losses["loss_mask"].detach()) == float(losses["loss_box_reg"].detach()) == 0


LABELS = [
    ("mask", "proposal_generator", "label_and_sample_anchors", "loss_rpn_loc"),
    ("rotated", "proposal_generator", "label_and_sample_anchors", "loss_rpn_loc"),
    ("mask", "proposal_generator", "_subsample_labels", "loss_rpn_loc"),
    ("rpn", "proposal_generator", "match_anchors", "loss_rpn_loc"),
    ("retinanet", "", "label_anchors", "loss_box_reg"),
    ("fcos", "", "label_anchors", "loss_fcos_loc"),
]


@pytest.mark.parametrize(("name", "where", "method", "loss"), LABELS, ids=lambda value: str(value))
def test_labels_of_anchors(name: str, where: str, method: str, loss: str) -> None:
    """With all anchors negative there is no box to learn."""
    model = built(name).train()

    def negative(result: Any) -> Any:
        if method == "label_and_sample_anchors":
            result.positive[:] = False
            return result
        if method == "_subsample_labels":
            index, positive, rest = result
            return index, torch.zeros_like(positive), positive | rest
        if method == "match_anchors":
            return result[0], torch.zeros_like(result[1])
        labels, boxes = result  # as lists, like the reference's
        return [torch.full_like(x, model.num_classes) for x in labels], list(boxes)

    before = model(inputs(name))[loss]
    with overridden(part(model, where), method, negative):
        after = model(inputs(name))[loss]
    assert float(before.detach()) > 0
    assert float(after.detach()) == 0


def test_matches_of_proposals() -> None:
    for name in ("mask", "c4", "rotated"):
        model = built(name).train()
        unmatched = lambda result: (result[0], torch.zeros_like(result[1]))  # noqa: E731
        with overridden(model.roi_heads, "match", unmatched):
            losses = model(inputs(name))
        for key in {"loss_box_reg", "loss_mask"} & set(losses):
            assert float(losses[key].detach()) == 0


def test_stages_of_a_cascade() -> None:
    model = built("cascade").train()
    heads = model.roi_heads
    change = functools.partial(background, num_classes=heads.num_classes)
    with overridden(heads, "_match_and_label_boxes", change):
        losses = model(inputs("cascade"))
    assert float(losses["loss_box_reg_stage0"].detach()) > 0
    assert float(losses["loss_box_reg_stage1"].detach()) == float(losses["loss_box_reg_stage2"].detach()) == 0

    seen = []
    hook = heads.box_pooler.register_forward_pre_hook(lambda module, args: seen.append(args[1]))
    with torch.no_grad(), overridden(heads, "_create_proposals_from_boxes", Written(replaced_boxes, None)):
        model.eval()(inputs("cascade"))
    hook.remove()
    assert len(seen) == 3
    for boxes in (*seen[1], *seen[2]):
        assert torch.equal(boxes.tensor, torch.tensor(BOX).expand(len(boxes), 4))

    twice = lambda predictions: (predictions[0], predictions[1] * 0)  # noqa: E731
    with torch.no_grad(), overridden(heads, "_run_stage", twice):
        unmoved = model(inputs("cascade"))
        proposals = model.proposal_generator(*images_and_features(model, inputs("cascade")))[0]
    for x, own in zip(unmoved, proposals, strict=True):
        distance = torch.cdist(x["instances"].pred_boxes.tensor, 2 * own.proposal_boxes.tensor, p=1)
        assert bool((distance.min(dim=1).values < 0.5).all())  # no stage moved a box


def images_and_features(model: nn.Module, batch: list[dict[str, Any]]) -> tuple[Any, Any]:
    images = model.preprocess_image(batch)
    return images, model.backbone(images.tensor)


def replaced_boxes(x: Instances) -> Instances:
    x.proposal_boxes = Boxes(torch.tensor(BOX).repeat(len(x), 1))
    return x


def test_positive_anchors_may_stand_anywhere_in_the_sample() -> None:
    model = built("mask").train()

    def turned(samples: Any) -> Any:
        return type(samples)(
            *(getattr(samples, name).flip(1) for name in ("index", "positive", "negative", "gt_boxes"))
        )

    losses = []
    for change in (lambda samples: samples, turned):
        torch.manual_seed(0)
        with overridden(model.proposal_generator, "label_and_sample_anchors", change):
            losses.append(model(inputs("mask")))
    for name in ("loss_rpn_cls", "loss_rpn_loc"):
        torch.testing.assert_close(losses[1][name], losses[0][name])


LOSSES = [
    ("mask", "roi_heads.box_predictor", "losses"),
    ("cascade", "roi_heads.box_predictor.1", "losses"),
    ("c4", "roi_heads.box_predictor", "losses"),
    ("rotated", "roi_heads.box_predictor", "losses"),
    ("mask", "roi_heads", "_forward_box"),
    ("mask", "roi_heads", "_forward_mask"),
    ("keypoint", "roi_heads", "_forward_keypoint"),
    ("mask", "roi_heads.mask_head", "forward"),
    ("keypoint", "roi_heads.keypoint_head", "forward"),
    ("mask", "proposal_generator", "losses"),
    ("rotated", "proposal_generator", "losses"),
    ("mask", "", "detection_losses"),
    ("panoptic", "sem_seg_head", "losses"),
    ("semantic", "sem_seg_head", "losses"),
    ("retinanet", "", "losses"),
    ("fcos", "", "losses"),
    ("retinanet", "", "forward_training"),
]


@pytest.mark.parametrize(("name", "where", "method"), LOSSES, ids=lambda value: str(value))
def test_losses(name: str, where: str, method: str) -> None:
    """Losses replaced, left out and added."""
    model = built(name).train()
    changed = []

    def change(losses: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        first, *rest = losses
        changed.extend(rest)
        return {first: losses[first] * 0 + 7.0, "loss_mine": torch.tensor(3.0)}

    with overridden(part(model, where), method, change):
        losses = model(inputs(name))
    values = {key: float(value.detach()) for key, value in losses.items()}
    mine = "loss_mine_stage1" if name == "cascade" else "loss_mine"
    assert values[mine] == 3.0
    assert 7.0 in values.values()
    assert not set(changed) & set(values)
