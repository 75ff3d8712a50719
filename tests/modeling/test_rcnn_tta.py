"""Test-time augmentation: the plain model where nothing is augmented, and fair to mirror images."""

import pytest
import tiny_rotated
import torch
from test_rcnn_heads import cascade, keypoints
from tiny_rcnn import make_batch, tiny_config

from lazycfg import LazyCall as L
from lazycfg import instantiate
from lazycfg.data import transforms as T
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import (
    DatasetMapperTTA,
    GeneralizedRCNNWithTTA,
    PanopticFPN,
    ProposalNetwork,
    SemSegFPNHead,
)
from lazycfg.modeling.tta_views import ViewTransform
from lazycfg.structures import Boxes, Instances

SWAP = [1, 0, 2, 4, 3]


def panoptic():
    config = tiny_config()
    config["_target_"] = PanopticFPN
    config.sem_seg_head = L(SemSegFPNHead)(
        input_shape={f"p{k}": ShapeSpec(channels=16, stride=2**k) for k in (2, 3)},
        num_classes=5,
        conv_dims=32,
        common_stride=4,
        norm="GN",
        ignore_value=255,
    )
    config.combine_stuff_area_thresh = 10
    config.combine_instances_score_thresh = 0.1
    return config


MODELS = {"masks": tiny_config, "cascade": cascade, "keypoints": keypoints, "panoptic": panoptic}
every_model = pytest.mark.parametrize("name", MODELS)


def build(name, **heads):
    torch.manual_seed(0)
    config = MODELS[name]()
    config.roi_heads.update(heads)
    model = instantiate(config).eval()
    predictors = model.roi_heads.box_predictor
    for predictor in [predictors] if name != "cascade" else predictors:
        predictor.test_score_thresh = 0.2
        predictor.test_topk_per_image = 40
        calibrate(model, predictor.cls_score, 1.0)
        calibrate(model, predictor.bbox_pred, 1.0)
    return model


def calibrate(model, layer, wanted):
    """Scale a layer so that its outputs differ so much: a fresh network is sure of all or nothing."""
    spread = []
    handle = layer.register_forward_hook(lambda module, args, out: spread.append(out.std()))
    with torch.no_grad():
        model(batch_of(0))
        layer.weight.mul_(wanted / spread[0])
    handle.remove()


def with_tta(model, **options):
    options = {"keypoint_hflip_indices": SWAP, "batch_size": 2} | options
    mapper = DatasetMapperTTA(min_sizes=options.pop("min_sizes", (64, 96)), flip=options.pop("flip", True))
    return GeneralizedRCNNWithTTA(model=model, tta_mapper=mapper, **options).eval()


def batch_of(*indices, scale=1):
    batch = make_batch(3)
    chosen = [dict(batch[i]) for i in indices]
    for item in chosen:
        del item["instances"]
        item["height"], item["width"] = (scale * side for side in item["image"].shape[-2:])
    return chosen


def same(a, b, *, atol=1e-3):
    """The same detections, in any order of equal scores."""
    assert len(a) == len(b) > 0
    assert a.image_size == b.image_size
    order_a, order_b = (key(x).argsort() for x in (a, b))
    a, b = a[order_a], b[order_b]
    torch.testing.assert_close(a.pred_boxes.tensor, b.pred_boxes.tensor, rtol=1e-4, atol=atol)
    torch.testing.assert_close(a.scores, b.scores, rtol=1e-4, atol=1e-5)
    assert torch.equal(a.pred_classes, b.pred_classes)
    if a.has("pred_masks"):
        assert (a.pred_masks != b.pred_masks).float().mean() < 1e-3
        assert a.pred_masks.any()
    if a.has("pred_keypoints"):
        maps = a.pred_keypoint_heatmaps
        torch.testing.assert_close(
            maps, b.pred_keypoint_heatmaps, rtol=1e-3, atol=1e-3 * maps.abs().max().item()
        )
        # of a fresh network, many pixels are nearly the highest
        off = (a.pred_keypoints - b.pred_keypoints)[..., :2].abs()
        assert (off.flatten(0, 1).max(dim=1).values < 0.1).float().mean() > 0.8


def key(x):
    return x.scores.double() + 1e-7 * x.pred_boxes.tensor[:, 0].double()


@every_model
def test_one_size_without_flipping_is_the_plain_model(name):
    model = build(name)
    for item in batch_of(0, 2):
        with torch.no_grad():
            (expected,) = model([item])
            (got,) = with_tta(model, min_sizes=(min(item["image"].shape[-2:]),), flip=False)([item])
        same(got["instances"], expected["instances"])
        assert set(got) == set(expected)
        assert set(got["instances"].get_fields()) == set(expected["instances"].get_fields())
        if name == "panoptic":
            torch.testing.assert_close(got["sem_seg"], expected["sem_seg"])
            assert (got["panoptic_seg"][0] != expected["panoptic_seg"][0]).float().mean() < 0.01
            assert len(got["panoptic_seg"][1]) == len(expected["panoptic_seg"][1])


def mirrored(item):
    return {**item, "image": item["image"].flip(-1)}


@every_model
def test_a_mirror_image_has_mirrored_answers(name):
    model = build(name)
    (item,) = batch_of(0, scale=2)
    tta = with_tta(model)
    (upright,), (mirror,) = tta([item]), tta([mirrored(item)])
    width = item["width"]
    expected = mirror["instances"]
    x0, y0, x1, y1 = expected.pred_boxes.tensor.unbind(1)
    expected.pred_boxes = Boxes(torch.stack((width - x1, y0, width - x0, y1), dim=1))
    if expected.has("pred_masks"):
        expected.pred_masks = expected.pred_masks.flip(-1)
    if expected.has("pred_keypoints"):
        x, y, score = expected.pred_keypoints[:, SWAP].unbind(2)
        expected.pred_keypoints = torch.stack((width - x, y, score), dim=2)
        expected.pred_keypoint_heatmaps = expected.pred_keypoint_heatmaps[:, SWAP].flip(-1)
    same(upright["instances"], expected)
    if name == "panoptic":
        torch.testing.assert_close(upright["sem_seg"], mirror["sem_seg"].flip(-1), rtol=1e-4, atol=1e-4)


def test_a_symmetric_image_has_a_symmetric_answer():
    model = build("masks")
    model.roi_heads.box_predictor.test_nms_thresh = 1.0
    model.roi_heads.box_predictor.test_topk_per_image = -1
    (item,) = batch_of(0)
    item["image"] = torch.cat((item["image"], item["image"].flip(-1)), dim=2)
    item["width"] *= 2
    (out,) = with_tta(model, min_sizes=(64,))([item])
    boxes = out["instances"].pred_boxes.tensor
    assert len(boxes) > 0
    mirror = torch.stack((192 - boxes[:, 2], boxes[:, 1], 192 - boxes[:, 0], boxes[:, 3]), dim=1)
    assert (boxes[:, None] - mirror).abs().amax(dim=2).min(dim=1).values.max() < 1e-2


def test_keypoints_left_and_right_are_exchanged_in_mirrored_views():
    model = build("keypoints")
    (item,) = batch_of(0)
    (right,) = with_tta(model)([item])
    (wrong,) = with_tta(model, keypoint_hflip_indices=[0, 1, 2, 3, 4])([item])
    a, b = right["instances"].pred_keypoints, wrong["instances"].pred_keypoints
    assert a.shape == b.shape
    torch.testing.assert_close(a[:, 2], b[:, 2])  # on the axis of symmetry
    assert ((a - b)[:, [0, 1, 3, 4]].abs() > 1).any()


@every_model
@pytest.mark.parametrize("batch_size", [4])
def test_batches_are_their_images(name, batch_size):
    model = build(name)
    batch = batch_of(0, 1, 2)
    with torch.no_grad():
        together = with_tta(model, batch_size=batch_size)(batch)
        alone = [with_tta(model)([item])[0] for item in batch]
    for a, b in zip(together, alone, strict=True):
        same(a["instances"], b["instances"])


def test_only_views_of_one_size_share_a_batch():
    model = build("masks")
    seen = []
    preprocess = model.preprocess_image
    model.preprocess_image = lambda inputs: (
        seen.append([x["image"].shape for x in inputs]) or preprocess(inputs)
    )
    with_tta(model, batch_size=3)(batch_of(0, 0))
    # two images, two sizes, each upright and mirrored, for boxes and again for masks
    assert sorted(map(len, seen)) == [1, 1, 1, 1, 3, 3, 3, 3]
    assert all(len(set(shapes)) == 1 for shapes in seen)


def test_nothing_found():
    model = build("keypoints", mask_in_features=None)
    model.roi_heads.box_predictor.test_score_thresh = 1.0
    for item, out in zip(batch_of(0, 1), with_tta(model)(batch_of(0, 1)), strict=True):
        assert len(out["instances"]) == 0
        assert out["instances"].image_size == (item["height"], item["width"])
        assert out["instances"].pred_keypoints.shape == (0, 5, 3)


def test_given_proposals_are_moved_with_the_views():
    config = tiny_config()
    config.proposal_generator = None
    torch.manual_seed(0)
    model = instantiate(config).eval()
    model.roi_heads.box_predictor.test_score_thresh = 0.0
    model.roi_heads.box_predictor.box2box_transform.weights = (1e6,) * 4  # boxes stay where they are
    (item,) = batch_of(0, scale=2)
    box = torch.tensor([[10.0, 20.0, 40.0, 50.0]])
    item["proposals"] = Instances((64, 96), proposal_boxes=Boxes(box), objectness_logits=torch.ones(1))
    model.roi_heads.box_predictor.test_nms_thresh = 0.9
    (out,) = with_tta(model, min_sizes=(50, 77))([item])
    found = out["instances"].pred_boxes.tensor
    assert len(found) == 3  # one of each class: those of all views are the same box
    torch.testing.assert_close(found, (2 * box).expand(3, 4), rtol=0, atol=0.05)
    assert torch.equal(item["proposals"].proposal_boxes.tensor, box)


def test_views_are_those_of_the_data_mappers():
    (item,) = batch_of(1, scale=3)
    mapper = DatasetMapperTTA(min_sizes=(37, 120), max_size=130)
    views = mapper(item)
    assert len(views) == 4
    height, width = item["image"].shape[-2:]
    for i, size in enumerate(mapper.min_sizes):
        shape = T.ResizeShortestEdge.get_output_shape(height, width, size, 130)
        first = T.ResizeTransform(item["height"], item["width"], height, width)
        both = first + T.ResizeTransform(height, width, *shape) + T.HFlipTransform(shape[1])
        steps = T.TransformList(both.transforms[:2])
        for view, transform in ((views[2 * i], steps), (views[2 * i + 1], both)):
            assert torch.equal(
                view["image"], T.TransformList(transform.transforms[1:]).apply_image(item["image"])
            )
            found, expected = view["transforms"], ViewTransform.of(transform)
            assert found.scale == pytest.approx(expected.scale)
            assert found.shift == pytest.approx(expected.shift)
            back = found.inverse().apply_coords(found.apply_coords([[3.0, 4.0]]))
            assert back.tolist() == [pytest.approx([3.0, 4.0])]
            assert view["height"] == item["height"]


class TurnedViews:
    """A mapper of one's own, with the transforms of the data package."""

    def __init__(self, make):
        self.make = make

    def __call__(self, item):
        height, width = item["image"].shape[-2:]
        transform = self.make(height, width)
        return [{**item, "image": transform.apply_image(item["image"]), "transforms": transform}]


def test_views_of_ones_own():
    model = build("masks")
    (item,) = batch_of(2)
    upside_down = {**item, "image": item["image"].flip(-2)}
    tta = GeneralizedRCNNWithTTA(model=model, tta_mapper=TurnedViews(lambda h, w: T.VFlipTransform(h))).eval()
    with torch.no_grad():
        (expected,), (got,) = model([upside_down]), tta([item])
    x0, y0, x1, y1 = expected["instances"].pred_boxes.tensor.unbind(1)
    height = item["height"]
    expected["instances"].pred_boxes = Boxes(torch.stack((x0, height - y1, x1, height - y0), dim=1))
    expected["instances"].pred_masks = expected["instances"].pred_masks.flip(-2)
    same(got["instances"], expected["instances"])

    tta.tta_mapper = TurnedViews(lambda h, w: T.RotationTransform(h, w, 90.0))
    with pytest.raises(ValueError, match="resizing and mirroring only"):
        tta([item])


def test_masks_may_stay_small():
    model = build("masks")
    tta = with_tta(model, min_sizes=(64,))
    (pasted,) = tta(batch_of(0))
    model.paste_masks = False
    (small,) = tta(batch_of(0))
    a, b = pasted["instances"], small["instances"]
    assert torch.equal(a.pred_masks, b.pred_masks.to_bitmasks(b.pred_boxes, *b.image_size).tensor)


def test_branches_are_on_again_after_an_error():
    model = build("masks")
    tta = with_tta(model)
    model.roi_heads.box_pooler.forward = lambda *args: 1 / 0
    with pytest.raises(ZeroDivisionError):
        tta(batch_of(0))
    assert model.roi_heads.mask_on


def test_what_does_not_fit_is_said():
    parts = tiny_config()
    del parts["roi_heads"]
    parts["_target_"] = ProposalNetwork
    with pytest.raises(TypeError, match="not for ProposalNetwork"):
        GeneralizedRCNNWithTTA(model=instantiate(parts))
    rotated = with_tta(tiny_rotated.tiny_model(), keypoint_hflip_indices=None)
    with pytest.raises(TypeError, match="the heads predict RotatedBoxes"):
        rotated(batch_of(0))
    model = build("keypoints")
    with pytest.raises(ValueError, match="keypoint_hflip_indices"):
        GeneralizedRCNNWithTTA(model=model)
    with pytest.raises(ValueError, match="permutation of the 5 keypoints"):
        GeneralizedRCNNWithTTA(model=model, keypoint_hflip_indices=[1, 0, 2])
    with pytest.raises(ValueError, match="batch_size=0"):
        GeneralizedRCNNWithTTA(model=build("masks"), batch_size=0)
    with pytest.raises(ValueError, match="min_sizes"):
        DatasetMapperTTA(min_sizes=())
    with pytest.raises(RuntimeError, match="eval"):
        with_tta(build("masks")).train()(batch_of(0))
    with pytest.raises(ValueError, match="no 'image'"):
        with_tta(build("masks"))([{"file_name": "a.jpg"}])
