"""A subclass that edits what its parent returns: what comes out of the model is what it has written."""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import tiny_rotated
import torch
from tiny_families import family, make_inputs
from torch import nn

from lazycfg.evaluation.predictions import ImagePrediction
from lazycfg.layers.nms_groups import suppression_steps
from lazycfg.modeling import DatasetMapperTTA, GeneralizedRCNNWithTTA, add_ground_truth_to_proposals
from lazycfg.modeling.proposal_generator import proposal_utils
from lazycfg.structures import BitMasks, Boxes, Instances, Keypoints, PolygonMasks, RotatedBoxes
from lazycfg.utils import EventStorage, SyncCounter

SIZES = [(64, 96), (80, 64)]
BOX = [3.0, 4.0, 43.0, 34.0]
ROTATED_BOX = [23.0, 24.0, 30.0, 12.0, 20.0]


def box_name(x: Instances) -> str:
    return "pred_boxes" if x.has("pred_boxes") else "proposal_boxes"


def score_name(x: Instances) -> str:
    return "scores" if x.has("scores") else "objectness_logits"


def wanted_box(x: Instances) -> torch.Tensor:
    return torch.tensor(ROTATED_BOX if isinstance(x.get(box_name(x)), RotatedBoxes) else BOX)


def in_place(x: Instances) -> Instances:
    x.get(box_name(x)).tensor[:] = wanted_box(x)
    x.get(score_name(x))[:] = 0.75
    return x


def replaced(x: Instances) -> Instances:
    boxes = x.get(box_name(x))
    x.set(box_name(x), type(boxes)(wanted_box(x).repeat(len(x), 1)))
    x.set(score_name(x), torch.full((len(x),), 0.5))
    return x


def filtered(x: Instances) -> Instances:
    return x[[i % 2 == 0 for i in range(len(x))]]


def reordered(x: Instances) -> Instances:
    return x[list(range(len(x)))[::-1]]


def emptied(x: Instances) -> Instances:
    return x[:0]


def extended(x: Instances) -> Instances:
    x.embedding = torch.arange(2.0 * len(x)).view(-1, 2)
    x.names = [f"object {i}" for i in range(len(x))]
    return x


EDITS = {edit.__name__: edit for edit in (in_place, replaced, filtered, reordered, emptied, extended)}
every_edit = pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)


@functools.cache
def built(name: str) -> nn.Module:
    if name == "rotated":
        model = tiny_rotated.tiny_model()
        model.roi_heads.box_predictor.test_score_thresh = 0.2
        return model
    model = family(name)
    if name == "panoptic":
        model.combine_stuff_area_thresh = 50
    return model


def inputs(name: str, n: int = 2) -> list[dict[str, Any]]:
    return tiny_rotated.make_batch(n) if name == "rotated" else make_inputs(n, name, sizes=SIZES)


@contextmanager
def overridden(owner: nn.Module, method: str, change: Callable[..., Any]) -> Iterator[None]:
    """Make the owner an object of a subclass whose method returns `change` of what its parent returns."""
    kind = type(owner)

    def own(self: Any, *args: Any, **kwargs: Any) -> Any:
        return change(getattr(super(subclass, self), method)(*args, **kwargs))

    subclass = type("Mine", (kind,), {method: own})
    owner.__class__ = subclass
    try:
        yield
    finally:
        owner.__class__ = kind


class Written:
    """Edits what a method returns and remembers what it has written; ``at`` is where the list is in it."""

    def __init__(self, edit: Callable[[Instances], Instances], at: int | None) -> None:
        self.edit, self.at, self.lists = edit, at, []

    def __call__(self, result: Any) -> Any:
        if isinstance(result, Instances):
            self.lists.append(copied(edited := self.edit(result)))
            return edited
        instances = result if self.at is None else result[self.at]
        assert type(instances) is list
        edited = [self.edit(x) for x in instances]
        self.lists += [copied(x) for x in edited]
        if self.at is None:
            return edited
        return (*result[: self.at], edited, *result[self.at + 1 :])


def copied(x: Instances) -> Instances:
    out = Instances(x.image_size)
    for name, value in x.get_fields().items():
        if isinstance(value, (Boxes, RotatedBoxes)):
            value = type(value)(value.tensor.clone())
        out.set(name, value.clone() if isinstance(value, torch.Tensor) else value)
    return out


def in_output_size(x: Instances, item: dict[str, Any]) -> Instances:
    """What postprocessing should make of it: the rule of the reference, image by image."""
    x = copied(x)
    boxes = x.get(box_name(x))
    boxes.scale(item["width"] / x.image_size[1], item["height"] / x.image_size[0])
    boxes.clip((item["height"], item["width"]))
    return x[boxes.nonempty()]


def assert_same(got: Instances, expected: Instances) -> None:
    assert len(got) == len(expected)
    name = box_name(expected)
    torch.testing.assert_close(got.get(name).tensor, expected.get(name).tensor, rtol=1e-5, atol=1e-3)
    for name, value in expected.get_fields().items():
        if name in ("scores", "pred_classes", "objectness_logits", "embedding"):
            torch.testing.assert_close(got.get(name), value)
        elif name == "names":
            assert got.names == value


def assert_parts_belong(x: Instances) -> None:
    """Masks lie in their boxes."""
    if not x.has("pred_masks"):
        return
    assert x.pred_masks.shape == (len(x), *x.image_size)
    for mask, (x0, y0, x1, y1) in zip(x.pred_masks, x.pred_boxes.tensor.tolist(), strict=True):
        rows, columns = mask.nonzero().unbind(1)
        if len(rows):
            assert rows.min() >= y0 - 1
            assert rows.max() <= y1 + 1
            assert columns.min() >= x0 - 1
            assert columns.max() <= x1 + 1


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


def part(model: nn.Module, where: str) -> nn.Module:
    return model.get_submodule(where)


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
