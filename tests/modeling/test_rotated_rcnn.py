"""The detector of rotated boxes at its edges, and how often it waits for its device."""

import math

import pytest
import torch
import torch._dynamo
from tiny_rotated import make_batch, tiny_config, tiny_model
from torch import nn

from lazycfg import instantiate
from lazycfg.modeling import ProposalNetwork, add_ground_truth_to_proposals
from lazycfg.structures import Boxes, Instances, RotatedBoxes, rotated_overlap
from lazycfg.utils.sync_counter import SyncCounter

LOSSES = {"loss_cls", "loss_box_reg", "loss_rpn_cls", "loss_rpn_loc"}


def train_step(model: nn.Module, batch) -> dict[str, torch.Tensor]:
    losses = model.train()(batch)
    sum(losses.values()).backward()
    assert set(losses) == LOSSES
    assert all(torch.isfinite(v) for v in losses.values())
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    return losses


@pytest.mark.parametrize("empty", [(), (0,), (1,), (0, 1)])
def test_images_without_objects(empty: tuple[int, ...]) -> None:
    losses = train_step(tiny_model(), make_batch(2, empty))
    assert (losses["loss_box_reg"] == 0) == (len(empty) == 2)
    assert (losses["loss_rpn_loc"] == 0) == (len(empty) == 2)


def test_one_image() -> None:
    train_step(tiny_model(), make_batch(1))


def test_one_image_equals_the_same_image_alone_in_a_batch() -> None:
    model = tiny_model().eval()
    model.roi_heads.box_predictor.test_score_thresh = 0.2
    first, _, third = make_batch(3)
    with torch.no_grad():
        alone = model([third])[0]["instances"]
        together = model([first, third])[1]["instances"]
    assert len(alone) > 0
    assert isinstance(alone.pred_boxes, RotatedBoxes)
    torch.testing.assert_close(alone.pred_boxes.tensor, together.pred_boxes.tensor, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(alone.scores, together.scores, rtol=1e-4, atol=1e-5)


def test_no_detections() -> None:
    model = tiny_model().eval()
    model.roi_heads.box_predictor.test_score_thresh = 1.0
    with torch.no_grad():
        results = model(make_batch(2))
    for item, out in zip(make_batch(2), results, strict=True):
        assert out["instances"].image_size == (item["height"], item["width"])
        assert out["instances"].pred_boxes.tensor.shape == (0, 5)


def test_no_proposals() -> None:
    model = tiny_model()
    model.proposal_generator.min_box_size = 1e4
    train_step(model, make_batch(2))  # the ground truth is proposed
    train_step(model, make_batch(2, empty=(0, 1)))
    with torch.no_grad():
        assert [len(x["instances"]) for x in model.eval()(make_batch(2))] == [0, 0]


def test_proposals_are_a_list_of_instances() -> None:
    model = tiny_model().eval()
    with torch.no_grad():
        images = model.preprocess_image(make_batch(2))
        proposals, _ = model.proposal_generator(images, model.backbone(images.tensor))
    assert len(proposals) == 2
    for x in proposals:
        assert isinstance(x.proposal_boxes, RotatedBoxes)
        assert 0 < len(x) <= 30
        assert bool((x.objectness_logits.diff() <= 0).all())
        assert bool((x.proposal_boxes.tensor[:, 4].abs() <= 180).all())


def test_a_network_of_proposals_alone() -> None:
    model = tiny_model()
    alone = ProposalNetwork(
        backbone=model.backbone,
        proposal_generator=model.proposal_generator,
        pixel_mean=[0.0] * 3,
        pixel_std=[50.0] * 3,
    )
    assert set(alone.train()(make_batch(2))) == {"loss_rpn_cls", "loss_rpn_loc"}
    with torch.no_grad():
        results = alone.eval()(make_batch(2))
    for item, out in zip(make_batch(2), results, strict=True):
        assert isinstance(out["proposals"].proposal_boxes, RotatedBoxes)
        assert out["proposals"].image_size == (item["height"], item["width"])
        assert len(out["proposals"]) > 0


def test_ground_truth_is_proposed() -> None:
    size, boxes = (64, 96), RotatedBoxes(torch.tensor([[30.0, 30, 40, 20, 30], [9, 9, 3, 3, -170]]))
    given = Instances(size, proposal_boxes=boxes[:1], objectness_logits=torch.tensor([0.5]))
    none = Instances(size, proposal_boxes=boxes[:0], objectness_logits=torch.zeros(0))
    first, second = add_ground_truth_to_proposals([boxes, boxes[1:]], [given, none])
    assert torch.equal(first.proposal_boxes.tensor, boxes.tensor[[0, 0, 1]])
    assert torch.equal(second.proposal_boxes.tensor, boxes.tensor[1:])
    assert second.objectness_logits.item() > 20


def test_boxes_of_extreme_sizes_and_angles() -> None:
    model, batch = tiny_model(), make_batch(1)
    boxes = [[30, 30, 1e-3, 1e-3, 0], [30, 30, 1e4, 1e4, 45], [30, 30, 500, 0.5, 720], [500, 30, 9, 9, -1e4]]
    batch[0]["instances"] = Instances(
        (64, 96), gt_boxes=RotatedBoxes(torch.tensor(boxes)), gt_classes=torch.arange(4) % 3
    )
    train_step(model, batch)


def test_diverged_predictions_are_an_error() -> None:
    model = tiny_model().train()
    nn.init.constant_(model.proposal_generator.rpn_head.anchor_deltas.bias, float("nan"))
    with pytest.raises(FloatingPointError, match="diverged"):
        model(make_batch(2))
    with torch.no_grad():
        assert [len(x["instances"]) for x in model.eval()(make_batch(2))] == [0, 0]


def test_full_turns_of_the_ground_truth_change_nothing() -> None:
    def losses(turns: float) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        batch = make_batch(2)
        for item in batch:
            item["instances"].gt_boxes.tensor[:, 4] += 360 * turns
        with torch.no_grad():
            return model(batch)

    model = tiny_model().train()
    for name, value in losses(0).items():
        for turns in (1, -2):
            torch.testing.assert_close(losses(turns)[name], value, rtol=1e-4, atol=1e-6)


def test_bf16() -> None:
    model = tiny_model()
    with torch.autocast("cpu", torch.bfloat16):
        train_step(model, make_batch(2))
        with torch.no_grad():
            model.eval()(make_batch(2))


def test_mistakes_are_told() -> None:
    batch = make_batch(1)
    batch[0]["instances"].gt_boxes = Boxes(torch.tensor([[1.0, 2, 30, 40], [5, 5, 20, 20]]))
    with pytest.raises(ValueError, match="use_rotated_box"):
        tiny_model().train()(batch)
    config = tiny_config()
    config.proposal_generator.anchor_boundary_thresh = 0
    with pytest.raises(ValueError, match="anchor_boundary_thresh"):
        instantiate(config)
    config = tiny_config()
    config.proposal_generator.box_reg_loss_type = "giou"
    with pytest.raises(ValueError, match="smooth_l1"):
        instantiate(config)
    config = tiny_config()
    config.roi_heads.mask_head = None
    with pytest.raises(TypeError, match="mask_head"):
        instantiate(config)


@pytest.fixture
def as_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way that is taken on a device, which must not be read, on the CPU too."""
    monkeypatch.setattr(rotated_overlap, "_reading_is_free", lambda boxes: False)


# NMS of the proposals: the pairs that meet, those that overlap, and how many boxes are left.
NMS = 3


def test_waits_of_a_training_step(as_on_a_device: None) -> None:
    model = tiny_model().train()
    ops = []
    for n in (2, 4, 8):
        batch = make_batch(n, size=(96, 96))
        model(batch)  # anchors of a size are made once
        with SyncCounter() as counter:
            sum(model(batch).values())
        # And what was sampled, and how many points each region is pooled from.
        assert counter.num_syncs == NMS + 2, counter.waits()
        ops.append(counter.num_ops)
    assert max(ops) - min(ops) <= 4, ops


def test_waits_of_inference(as_on_a_device: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from lazycfg.modeling.roi_heads import detections

    model = tiny_model().eval()
    model.roi_heads.box_predictor.test_score_thresh = 0.2
    counters: list[SyncCounter] = []
    on_host = detections.suppress

    def not_counted(*args):  # the second NMS works on what the host has already
        before = counters[-1].syncs.copy()
        result = on_host(*args)
        counters[-1].syncs = before
        return result

    monkeypatch.setattr(detections, "suppress", not_counted)
    ops = []
    for n in (2, 4, 8):
        batch = make_batch(n, size=(96, 96))
        for postprocess in (False, True):
            with torch.no_grad(), SyncCounter() as counter:
                counters.append(counter)
                results = model.inference(batch, do_postprocess=postprocess)
            # And the points, the candidates, and the boxes that are empty in the output.
            assert counter.num_syncs == NMS + 2 + postprocess, counter.waits()
        assert len(results[0]["instances"]) > 0
        ops.append(counter.num_ops)
    assert max(ops) - min(ops) <= 4 * 6, ops  # fields of the instances of each image


def test_the_way_of_a_device_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def losses() -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        with torch.no_grad():
            return model(make_batch(3))

    model = tiny_model().train()
    expected = losses()
    monkeypatch.setattr(rotated_overlap, "_reading_is_free", lambda boxes: False)
    for name, value in losses().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-6)
    assert math.isfinite(sum(expected.values()))


@pytest.mark.slow
def test_torch_compile_cuts_at_fixed_places() -> None:
    """At the proposals, at the detections and, for the number of points to pool from, at the pooler."""
    torch._dynamo.reset()
    model = tiny_model().eval()
    with torch.no_grad():
        explained = torch._dynamo.explain(model)(make_batch(2))
    torch._dynamo.reset()
    places = {
        reason.user_stack[-1].name + ":" + reason.user_stack[-1].line for reason in explained.break_reasons
    }
    assert len(places) <= 3, places
