"""Every family of models at the edges: nothing there, nothing found, extreme sizes, nothing that counts."""

import pytest
import torch
from tiny_families import FAMILIES, family, make_inputs

from lazycfg.modeling import Matcher
from lazycfg.structures import BitMasks, Boxes, Instances, Keypoints, PolygonMasks

every_family = pytest.mark.parametrize("name", FAMILIES)
with_boxes = pytest.mark.parametrize("name", [name for name in FAMILIES if name != "semantic"])


def step(model, batch):
    """Losses of a training step that leaves finite gradients."""
    losses = model.train()(batch)
    total = sum(losses.values())
    if total.requires_grad:
        total.backward()
    assert all(torch.isfinite(loss) for loss in losses.values()), losses
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    return {key: float(loss.detach()) for key, loss in losses.items()}


def annotate(item, name, boxes):
    """The image with these objects, and everything else that the family reads of an object."""
    h, w = item["image"].shape[-2:]
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    instances = Instances((h, w), gt_boxes=Boxes(boxes))
    instances.gt_classes = torch.zeros(len(boxes), dtype=torch.int64)
    if name in ("mask", "cascade", "c4", "panoptic"):
        polygons = [[[x0, y0, x1, y0, x1, y1, x0, y1]] for x0, y0, x1, y1 in boxes.tolist()]
        instances.gt_masks = PolygonMasks(polygons)
    if name == "keypoint":
        middle = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
        visible = torch.cat((middle, torch.full_like(middle[..., :1], 2)), dim=2)
        instances.gt_keypoints = Keypoints(visible.repeat(1, 17, 1))
    return {**item, "instances": instances, "sem_seg": torch.zeros(h, w, dtype=torch.int64)}


def images(name, *sizes):
    batch = make_inputs(len(sizes), name)
    generator = torch.Generator().manual_seed(3)
    for item, (h, w) in zip(batch, sizes, strict=True):
        item["image"] = torch.randint(0, 256, (3, h, w), dtype=torch.uint8, generator=generator)
        item["height"], item["width"] = h, w
    return batch


@with_boxes
@pytest.mark.parametrize("empty", [(0,), (0, 1)], ids=["one image", "all images"])
def test_images_without_objects(name, empty):
    batch = make_inputs(2, name)
    for i in empty:
        batch[i] = annotate(batch[i], name, [])
    losses = step(family(name), batch)
    if len(empty) == 2:
        zero = ("box_reg", "mask", "keypoint", "rpn_loc", "fcos_loc", "fcos_ctr")
        found = [loss for key, loss in losses.items() if any(part in key for part in zero)]
        assert set(found) == ({0.0} if found else set())
        assert any(loss > 0 for loss in losses.values())


@with_boxes
def test_boxes_of_extreme_sizes(name):
    (first, second) = images(name, (128, 160), (64, 64))
    sizes = [[0, 0, 160, 128], [70, 60, 70.2, 60.1], [20, 0, 20.5, 128], [0, 127.9, 160, 128]]
    step(family(name), [annotate(first, name, sizes), annotate(second, name, [[0, 0, 64, 64]])])
    # objects on top of each other
    step(family(name), [annotate(second, name, [[5, 5, 40, 40]] * 50)])


@every_family
@pytest.mark.parametrize("size", [(1, 1), (3, 300), (200, 2)], ids=str)
def test_images_of_extreme_sizes(name, size):
    (item,) = images(name, size)
    model = family(name)
    if name in ("semantic", "panoptic") and max(size) == 1:
        # of one place, each group of one channel: there is nothing to normalise
        (item,) = images(name, size := (33, 2))
    step(model, [annotate(item, name, [[0, 0, size[1], size[0]]])])
    (out,) = model.eval()([item])
    for value in out.values():
        if isinstance(value, Instances):
            assert value.image_size == size
    if "sem_seg" in out:
        assert out["sem_seg"].shape[-2:] == size
    if "panoptic_seg" in out:
        assert out["panoptic_seg"][0].shape == size


def silence(model, name):
    """No score is high enough any more."""
    heads = getattr(model, "roi_heads", None)
    if heads is None:
        model.test_score_thresh = 1.0
        return
    predictors = heads.box_predictor if name == "cascade" else [heads.box_predictor]
    for predictor in predictors:
        predictor.test_score_thresh = 1.0


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in ("rpn", "semantic")])
def test_nothing_found(name):
    model = family(name).eval()
    silence(model, name)
    with torch.no_grad():
        outputs = model(make_inputs(2, name))
    for out in outputs:
        instances = out["instances"]
        assert len(instances) == 0
        assert instances.image_size == (128, 192)
        assert instances.pred_boxes.tensor.shape == (0, 4)
        assert instances.scores.shape == instances.pred_classes.shape == (0,)
        assert instances.pred_classes.dtype is torch.int64
        if name in ("mask", "cascade", "c4", "panoptic"):
            assert instances.pred_masks.shape == (0, 128, 192)
            assert instances.pred_masks.dtype is torch.bool
        if name == "keypoint":
            assert instances.pred_keypoints.shape == (0, 17, 3)
        if name == "panoptic":
            panoptic, segments = out["panoptic_seg"]
            assert panoptic.shape == (128, 192)
            assert not any(segment["isthing"] for segment in segments)


@pytest.mark.parametrize("name", ["mask", "faster", "cascade", "keypoint", "c4", "panoptic", "rpn"])
def test_nothing_proposed(name):
    model = family(name)
    model.proposal_generator.min_box_size = 1e6
    batch = [annotate(item, name, []) for item in make_inputs(2, name)]
    losses = step(model, batch)
    if name != "rpn":
        assert losses["loss_cls_stage2" if name == "cascade" else "loss_cls"] == 0
    step(model, make_inputs(2, name))  # the ground truth is proposed
    with torch.no_grad():
        outputs = model.eval()(make_inputs(2, name))
    assert [len(x["proposals" if name == "rpn" else "instances"]) for x in outputs] == [0, 0]


@with_boxes
def test_nothing_counts(name):
    """All anchors and all proposals are neither here nor there."""
    model = family(name)
    ignore = Matcher([0.5], [-1, -1])
    for part in (model, getattr(model, "proposal_generator", None), getattr(model, "roi_heads", None)):
        for attribute in ("anchor_matcher", "proposal_matcher"):
            if hasattr(part, attribute):
                setattr(part, attribute, ignore)
        if hasattr(part, "proposal_matchers"):
            part.proposal_matchers = [ignore] * 3
    losses = step(model, make_inputs(2, name))
    if name != "fcos":  # which has no matcher
        assert {key: loss for key, loss in losses.items() if loss and "sem_seg" not in key} == {}


@pytest.mark.parametrize("name", ["semantic", "panoptic"])
def test_no_pixel_counts(name):
    batch = make_inputs(2, name)
    model = family(name)
    for item in batch:
        item["sem_seg"] = torch.full_like(item["sem_seg"], model.sem_seg_head.ignore_value)
    losses = step(model, batch)
    assert losses["loss_sem_seg"] == 0


@every_family
def test_an_image_is_answered_as_in_a_batch(name):
    """The largest one, which is not padded."""
    model = family(name).eval()
    if name == "c4":  # so deep a network without training is sure of noise
        for layer in (model.roi_heads.box_predictor, model.proposal_generator.rpn_head.anchor_deltas):
            for p in layer.parameters():
                torch.nn.init.zeros_(p)
        model.roi_heads.box_predictor.test_score_thresh = 0.01
    batch = images(name, (64, 64), (96, 128), (32, 128))
    with torch.no_grad():
        alone, together = model([batch[1]])[0], model(batch)[1]
    for key, value in alone.items():
        if isinstance(value, Instances):
            field = "pred_boxes" if key == "instances" else "proposal_boxes"
            a, b = (x.get(field).tensor for x in (value, together[key]))
            assert len(a) == len(b) > 0
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-2)
    if "sem_seg" in alone:
        torch.testing.assert_close(alone["sem_seg"], together["sem_seg"], rtol=1e-3, atol=1e-3)


def test_bitmasks_of_objects_too_small_to_have_a_pixel():
    (item,) = images("mask", (64, 64))
    item = annotate(item, "mask", [[5, 5, 40, 40], [50.2, 50.2, 50.4, 50.4]])
    item["instances"].gt_masks = BitMasks.from_polygon_masks(item["instances"].gt_masks, 64, 64)
    assert not item["instances"].gt_masks.tensor[1].any()
    step(family("mask"), [item])
