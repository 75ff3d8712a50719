import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import sigmoid_focal_loss

from lazycfg.layers import ShapeSpec
from lazycfg.modeling import (
    FCOS,
    Box2BoxTransform,
    DefaultAnchorGenerator,
    FCOSHead,
    Matcher,
    RetinaNet,
    RetinaNetHead,
)
from lazycfg.modeling.backbone import Backbone
from lazycfg.modeling.meta_arch.focal_loss import dense_focal_loss
from lazycfg.structures import Boxes, Instances
from lazycfg.utils.events import EventStorage

STRIDES = (8, 16)


class Maps(Backbone):
    """Two maps by one convolution each."""

    def __init__(self):
        super().__init__()
        for stride in STRIDES:
            self.add_module(f"p{stride}", nn.Conv2d(3, 16, stride, stride))
        self._out_features = [f"p{stride}" for stride in STRIDES]
        self._out_feature_channels = dict.fromkeys(self._out_features, 16)
        self._out_feature_strides = {f"p{stride}": stride for stride in STRIDES}

    @property
    def size_divisibility(self):
        return 16

    def forward(self, x):
        return {name: F.relu(self.get_submodule(name)(x)) for name in self._out_features}


COMMON = {"num_classes": 3, "pixel_mean": [128.0] * 3, "pixel_std": [64.0] * 3}
HEAD = {"input_shape": [ShapeSpec(channels=16)] * 2, "num_classes": 3, "conv_dims": [16], "prior_prob": 0.2}


def retinanet(**kwargs):
    torch.manual_seed(0)
    return RetinaNet(
        backbone=Maps(),
        head=RetinaNetHead(num_anchors=2, **HEAD),
        anchor_generator=DefaultAnchorGenerator(
            sizes=[[16, 24], [32, 48]], aspect_ratios=[1.0], strides=STRIDES
        ),
        box2box_transform=Box2BoxTransform(),
        anchor_matcher=Matcher([0.4, 0.5], [0, -1, 1], allow_low_quality_matches=True),
        **COMMON | kwargs,
    )


def fcos(**kwargs):
    torch.manual_seed(0)
    return FCOS(backbone=Maps(), head=FCOSHead(**HEAD), **COMMON | kwargs)


BOTH = pytest.mark.parametrize("make", [retinanet, fcos])


def picture(seed, h=64, w=80, objects=2):
    g = torch.Generator().manual_seed(seed)
    xy = torch.rand(objects, 2, generator=g) * torch.tensor([w / 2, h / 2])
    wh = 12 + torch.rand(objects, 2, generator=g) * torch.tensor([w / 2 - 12, h / 2 - 12])
    instances = Instances((h, w))
    instances.gt_boxes = Boxes(torch.cat((xy, xy + wh), dim=1))
    instances.gt_classes = torch.randint(0, 3, (objects,), generator=g)
    return {"image": torch.randint(0, 256, (3, h, w), dtype=torch.uint8, generator=g), "instances": instances}


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (-1.0, 1.5)])
def test_focal_loss_is_that_of_one_hot_targets(alpha, gamma):
    torch.manual_seed(0)
    logits = (3 * torch.randn(2, 50, 4)).double().float().requires_grad_()
    labels = torch.randint(-1, 5, (2, 50))
    loss = dense_focal_loss(logits, labels, alpha=alpha, gamma=gamma)
    target = F.one_hot(labels.clamp(min=0), 5)[..., :4].float()
    counted = labels >= 0
    expected = sigmoid_focal_loss(logits[counted], target[counted], alpha, gamma, reduction="sum")
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss, logits)[0], torch.autograd.grad(expected, logits)[0], rtol=1e-4, atol=1e-5
    )


def test_focal_loss_stays_finite_far_out():
    logits = torch.tensor([[80.0, -80.0], [-80.0, 80.0]], requires_grad=True)
    loss = dense_focal_loss(logits, torch.tensor([1, 2]))
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, logits)[0]).all()


def fcos_oracle(model, anchors, counts, boxes, classes):
    """Which object a place is trained for, written for one place at a time."""
    labels = []
    for i, (x0, y0, x1, y1) in enumerate(anchors.tolist()):
        x, y, size = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0
        low = 0.0 if i < counts[0] else 4 * size
        high = math.inf if i >= len(anchors) - counts[-1] else 8 * size
        found = []
        for box, label in zip(boxes.tolist(), classes.tolist(), strict=True):
            sides = (x - box[0], y - box[1], box[2] - x, box[3] - y)
            off = max(abs(x - (box[0] + box[2]) / 2), abs(y - (box[1] + box[3]) / 2))
            if min(sides) > 0 and low < max(sides) < high and off < model.center_sampling_radius * size:
                found.append(((box[2] - box[0]) * (box[3] - box[1]), label))
        labels.append(min(found)[1] if found else model.num_classes)
    return labels


def test_fcos_trains_places_for_the_smallest_object_that_suits():
    model = fcos()
    batch = [picture(1, objects=5), picture(2, objects=0), picture(3, objects=2)]
    instances = [x["instances"] for x in batch]
    levels = [b.tensor for b in model.anchor_generator([torch.zeros(1, 1, 8, 10), torch.zeros(1, 1, 4, 5)])]
    counts = [len(level) for level in levels]
    labels, boxes = model.label_anchors(torch.cat(levels), counts, instances)
    for row, target in zip(labels.tolist(), instances, strict=True):
        expected = fcos_oracle(model, torch.cat(levels), counts, target.gt_boxes.tensor, target.gt_classes)
        assert row == expected
    assert (labels[0] < 3).any()
    matched = {tuple(b) for b in boxes[0][labels[0] < 3].tolist()}
    assert matched <= {tuple(b) for b in instances[0].gt_boxes.tensor.tolist()}


def test_retinanet_labels_do_not_depend_on_the_rest_of_the_batch():
    model = retinanet()
    instances = [picture(1, objects=5)["instances"], picture(2, objects=0)["instances"]]
    anchors = torch.cat([b.tensor for b in model.anchor_generator([torch.zeros(1, 1, 8, 10)] * 2)])
    together, _ = model.label_anchors(anchors, instances)
    for row, one in zip(together, instances, strict=True):
        assert torch.equal(model.label_anchors(anchors, [one])[0][0], row)
    assert (together[0] == -1).any()
    assert (together[0] < 3).any()
    assert (together[1] == 3).all()


@BOTH
def test_detections_of_a_picture_do_not_depend_on_the_rest_of_the_batch(make):
    model = make(test_score_thresh=0.1).eval()
    batch = [picture(1), picture(2)]
    with torch.no_grad():
        together = model(batch)
        alone = [model([item])[0] for item in batch]
    for a, b in zip(together, alone, strict=True):
        assert 0 < len(a["instances"]) <= 100
        torch.testing.assert_close(a["instances"].scores, b["instances"].scores)
        torch.testing.assert_close(in_order(a["instances"]), in_order(b["instances"]))


def in_order(found):
    """Detections as rows, ordered by place: a convolution rounds by batch, which swaps equal scores."""
    rows = torch.cat([found.pred_boxes.tensor, found.scores[:, None], found.pred_classes[:, None]], dim=1)
    return torch.stack(sorted(rows, key=lambda row: (row[:4].round(decimals=2).tolist(), row[5].item())))


@BOTH
def test_detections_are_those_of_all_candidates_when_few_are_looked_at_first(make, monkeypatch):
    import lazycfg.modeling.meta_arch.dense_detector as module

    model = make(test_score_thresh=0.1, max_detections_per_image=20).eval()
    batch = [picture(1), picture(2)]
    with torch.no_grad():
        expected = model(batch)
        monkeypatch.setattr(module, "CANDIDATES", 1)
        monkeypatch.setattr(module, "CANDIDATES_PER_DETECTION", 1)
        few = model(batch)
    for a, b in zip(few, expected, strict=True):
        assert torch.equal(a["instances"].scores, b["instances"].scores)
        assert torch.equal(a["instances"].pred_boxes.tensor, b["instances"].pred_boxes.tensor)


@BOTH
def test_no_detections_and_output_sizes(make):
    model = make(test_score_thresh=0.999).eval()
    (result,) = model([{**picture(1), "height": 128, "width": 160}])
    assert len(result["instances"]) == 0
    assert result["instances"].image_size == (128, 160)


@BOTH
def test_pictures_without_objects_have_finite_losses_and_gradients(make):
    model = make()
    losses = model([picture(1, objects=0), picture(2, objects=0)])
    sum(losses.values()).backward()
    assert all(torch.isfinite(v) for v in losses.values())
    boxes = {
        k: v.item() for k, v in losses.items() if k in ("loss_box_reg", "loss_fcos_loc", "loss_fcos_ctr")
    }
    assert set(boxes.values()) == {0.0}
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@BOTH
def test_the_normalizer_follows_the_number_of_positives_and_is_not_saved(make):
    model = make()
    start = model.loss_normalizer.item()
    batch = [picture(1), picture(2)]
    expected = start
    for _ in range(2):
        with EventStorage() as storage:
            model(batch)
        positives = storage.latest()["num_pos_anchors"][0] * 2
        expected = 0.9 * expected + 0.1 * max(positives, 1)
        assert model.loss_normalizer.item() == pytest.approx(expected, rel=1e-5)
    assert not [k for k in model.state_dict() if "normalizer" in k]


@BOTH
def test_learns_two_pictures(make):
    model = make()
    batch = [picture(1), picture(2)]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    totals = []
    for _ in range(30):
        total = sum(model(batch).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item() * model.loss_normalizer.item())
    assert totals[-1] < 0.5 * totals[0]


@BOTH
def test_training_needs_ground_truth(make):
    with pytest.raises(ValueError, match="instances"):
        make()([{"image": picture(1)["image"]}])


def test_head_features_that_are_not_there():
    with pytest.raises(ValueError, match=r"no 'p6'.*did you mean 'p16'"):
        fcos(head_in_features=["p6"])
