"""Two-stage detectors at the edges: nothing there, too much there, other number formats, errors."""

import copy
import pickle

import pytest
import torch
from tiny_rcnn import make_batch, tiny_config, tiny_model
from torch import nn

from lazycfg import instantiate
from lazycfg.modeling import FastRCNNOutputLayers
from lazycfg.structures import Boxes, Instances, ROIMasks


def train_step(model: nn.Module, batch) -> dict[str, torch.Tensor]:
    losses = model.train()(batch)
    sum(losses.values()).backward()
    assert all(torch.isfinite(v) for v in losses.values())
    return losses


@pytest.mark.parametrize("masks", ["polygons", "bitmasks"])
@pytest.mark.parametrize("empty", [(), (0,), (1,), (0, 1)])
def test_images_without_objects(masks: str, empty: tuple[int, ...]) -> None:
    model = tiny_model()
    losses = train_step(model, make_batch(2, masks, empty))
    assert set(losses) == {"loss_cls", "loss_box_reg", "loss_mask", "loss_rpn_cls", "loss_rpn_loc"}
    assert (losses["loss_mask"] == 0) == (len(empty) == 2)
    assert all(p.grad is not None for p in model.roi_heads.mask_head.parameters())


def test_one_image_equals_the_same_image_alone_in_a_batch() -> None:
    model = tiny_model().eval()
    model.roi_heads.box_predictor.test_score_thresh = 0.2
    first, _, third = make_batch(3)
    with torch.no_grad():
        alone = model([third])[0]["instances"]
        together = model([first, third])[1]["instances"]
    assert len(alone) > 0
    torch.testing.assert_close(alone.pred_boxes.tensor, together.pred_boxes.tensor, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(alone.scores, together.scores, rtol=1e-4, atol=1e-5)
    assert torch.equal(alone.pred_classes, together.pred_classes)


def test_no_detections() -> None:
    model = tiny_model().eval()
    model.roi_heads.box_predictor.test_score_thresh = 1.0
    with torch.no_grad():
        results = model(make_batch(2))
    for item, out in zip(make_batch(2), results, strict=True):
        instances = out["instances"]
        assert len(instances) == 0
        assert instances.image_size == (item["height"], item["width"])
        assert instances.pred_masks.shape == (0, item["height"], item["width"])
        assert instances.pred_boxes.tensor.shape == (0, 4)


def test_no_proposals() -> None:
    model = tiny_model()
    model.proposal_generator.min_box_size = 1e4
    train_step(model, make_batch(2))  # the ground truth is proposed
    train_step(model, make_batch(2, empty=(0, 1)))
    with torch.no_grad():
        proposals, _ = model.eval().proposal_generator(*images_and_features(model, make_batch(2)))
        assert [len(x) for x in proposals] == [0, 0]
        assert [len(x["instances"]) for x in model(make_batch(2))] == [0, 0]


def images_and_features(model, batch):
    images = model.preprocess_image(batch)
    return images, model.backbone(images.tensor)


def test_proposals_are_a_list_of_instances() -> None:
    model = tiny_model().eval()
    with torch.no_grad():
        proposals, losses = model.proposal_generator(*images_and_features(model, make_batch(2)))
    assert isinstance(proposals, list)
    assert len(proposals) == 2
    assert losses == {}
    for x in [*proposals, proposals[0], *list(proposals)]:
        assert 0 < len(x) <= 30
        assert bool((x.objectness_logits.diff() <= 0).all())
        assert bool(x.proposal_boxes.nonempty().all())
    assert len(pickle.loads(pickle.dumps(proposals))) == len(copy.copy(proposals)) == 2


def test_given_proposals_instead_of_a_generator() -> None:
    config = tiny_config()
    config.proposal_generator = None
    model = instantiate(config)
    batch = make_batch(2)
    for item, n in zip(batch, (3, 0), strict=True):
        h, w = item["image"].shape[-2:]
        boxes = torch.tensor([[4.0, 5.0, 41.0, 50.0], [0, 0, 20, 20], [5, 5, 60, 60]])[:n]
        item["proposals"] = Instances((h, w), proposal_boxes=Boxes(boxes), objectness_logits=torch.ones(n))
    losses = train_step(model, batch)
    assert set(losses) == {"loss_cls", "loss_box_reg", "loss_mask"}
    model.eval().roi_heads.box_predictor.test_score_thresh = 0.0
    with torch.no_grad():
        counts = [len(x["instances"]) for x in model(batch)]
    assert counts[0] > 0
    assert counts[1] == 0


def test_diverged_predictions_are_an_error() -> None:
    model = tiny_model().train()
    nn.init.constant_(model.proposal_generator.rpn_head.objectness_logits.bias, float("nan"))
    with pytest.raises(FloatingPointError, match="diverged"):
        model(make_batch(2))
    with torch.no_grad():
        results = model.eval()(make_batch(2))
    assert [len(x["instances"]) for x in results] == [0, 0]


def test_masks_missing_from_the_data() -> None:
    with pytest.raises(ValueError, match=r"model\.roi_heads\.mask_head=None"):
        tiny_model().train()(make_batch(2, masks="none"))


def test_no_mask_head_makes_a_box_detector() -> None:
    model = tiny_model(mask_head=None)
    assert not any("mask" in key for key in model.state_dict())
    losses = train_step(model, make_batch(2, masks="none"))
    assert "loss_mask" not in losses
    with torch.no_grad():
        assert "pred_masks" not in model.eval()(make_batch(1))[0]["instances"]


@pytest.mark.parametrize(
    ("part", "argument", "shown"),
    [
        ("proposal_generator", "in_features", "in_features is"),
        ("roi_heads", "box_in_features", "box_in_features is"),
        ("roi_heads", "mask_in_features", "in_features of this branch is"),
    ],
)
def test_maps_that_the_backbone_does_not_give_are_named(part: str, argument: str, shown: str) -> None:
    config = tiny_config()
    config[part][argument] = ["p2", "p3", "p4", "p9"]
    if part == "proposal_generator":
        config[part].anchor_generator.update(sizes=[[8], [16], [32], [64]], strides=[4, 8, 16, 32])
    message = rf"{shown} \['p2', 'p3', 'p4', 'p9'\], and the backbone gives no 'p9', only \['p2', "
    with pytest.raises(ValueError, match=message):
        train_step(instantiate(config), make_batch(1))


def test_instances_missing_in_training() -> None:
    batch = make_batch(1)
    del batch[0]["instances"]
    with pytest.raises(ValueError, match="instances"):
        tiny_model().train()(batch)


def test_masks_may_stay_small() -> None:
    model = tiny_model().eval()
    model.roi_heads.box_predictor.test_score_thresh = 0.2
    batch = make_batch(2)
    with torch.no_grad():
        pasted = model(batch)
        model.paste_masks = False
        small = model(batch)
    for a, b in zip(pasted, small, strict=True):
        a, b = a["instances"], b["instances"]
        assert isinstance(b.pred_masks, ROIMasks)
        again = b.pred_masks.to_bitmasks(b.pred_boxes, *b.image_size).tensor
        assert torch.equal(a.pred_masks, again)


def test_more_candidates_than_are_fetched_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from lazycfg.modeling.roi_heads import detections as module

    torch.manual_seed(0)
    corner = torch.rand(200, 4) * 100
    corner[:, 2:] += corner[:, :2] + 1
    boxes, scores = corner.repeat(1, 3), torch.rand(200, 4)
    for topk in (5, -1):
        expected, rows = module.fast_rcnn_inference([boxes], [scores], [(200, 200)], 0.1, 0.3, topk)
        with monkeypatch.context() as patch:
            patch.setattr(module, "CANDIDATES", 1)
            patch.setattr(module, "CANDIDATES_PER_DETECTION", 1)
            got, got_rows = module.fast_rcnn_inference([boxes], [scores], [(200, 200)], 0.1, 0.3, topk)
        assert torch.equal(got[0].pred_boxes.tensor, expected[0].pred_boxes.tensor)
        assert torch.equal(got[0].scores, expected[0].scores)
        assert torch.equal(got_rows[0], rows[0])
        assert len(got[0]) == (5 if topk == 5 else len(rows[0]))


def test_custom_box_predictor_sees_lists_of_instances() -> None:
    seen = []

    class MyOutput(FastRCNNOutputLayers):
        def losses(self, predictions, proposals):
            scores, _ = predictions
            assert len(scores) == sum(len(x) for x in proposals)
            assert all(isinstance(x, Instances) for x in proposals)
            seen.append([x.gt_classes.shape for x in proposals])
            return super().losses(predictions, proposals)

        def predict_probs(self, predictions, proposals):
            probs = super().predict_probs(predictions, proposals)
            assert [len(p) for p in probs] == [len(x) for x in proposals]
            return probs

    config = tiny_config()
    config.roi_heads.box_predictor["_target_"] = MyOutput
    model = instantiate(config)
    train_step(model, make_batch(2))
    assert len(seen[0]) == 2
    with torch.no_grad():
        model.eval()(make_batch(2))


def test_train_on_predicted_boxes() -> None:
    train_step(tiny_model(train_on_pred_boxes=True), make_batch(2))


@pytest.mark.parametrize("loss", ["smooth_l1", "giou", "diou", "ciou"])
@pytest.mark.parametrize("agnostic", [False, True])
def test_box_losses(loss: str, agnostic: bool) -> None:
    config = tiny_config()
    config.roi_heads.box_predictor.update(box_reg_loss_type=loss, cls_agnostic_bbox_reg=agnostic)
    config.proposal_generator.box_reg_loss_type = loss
    model = instantiate(config)
    losses = train_step(model, make_batch(2, empty=(1,)))
    assert losses["loss_box_reg"] > 0
    with torch.no_grad():
        model.eval()(make_batch(1))


def test_federated_loss() -> None:
    config = tiny_config()
    config.roi_heads.box_predictor.update(
        use_sigmoid_ce=True,
        use_fed_loss=True,
        get_fed_loss_cls_weights=lambda: torch.tensor([1.0, 2.0, 0.0]),
        fed_loss_num_classes=2,
    )
    model = instantiate(config)
    assert train_step(model, make_batch(2))["loss_cls"] > 0


@pytest.mark.parametrize("training", [True, False])
def test_half_precision_and_channels_last(training: bool) -> None:
    model = tiny_model().to(memory_format=torch.channels_last)
    batch = make_batch(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        if training:
            train_step(model, batch)
        else:
            with torch.no_grad():
                model.eval()(batch)


def test_built_without_memory() -> None:
    with torch.device("meta"):
        model = instantiate(tiny_config())
    assert all(t.is_meta for t in model.state_dict().values())


def test_images_in_float_and_of_one_size() -> None:
    model = tiny_model().eval()
    batch = make_batch(3)
    as_float = [{**item, "image": item["image"].float()} for item in batch]
    a, b = model.preprocess_image(batch), model.preprocess_image(as_float)
    assert torch.equal(a.tensor, b.tensor)
    assert a.image_sizes == [(64, 96), (80, 64), (96, 96)]
    assert a.tensor.shape == (3, 3, 96, 96)
    assert bool((a.tensor[0, :, 64:] == 0).all())
    expected = (batch[0]["image"] - model.pixel_mean) / model.pixel_std
    torch.testing.assert_close(a.tensor[0, :, :64, :96], expected)
