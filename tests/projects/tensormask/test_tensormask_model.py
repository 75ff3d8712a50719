"""The model of TensorMask in training and evaluation: edge cases, waits for the device, kinds of numbers."""

import pytest
import torch
import torch._dynamo
from few_shapes import few_shapes, found_objects, learn
from small_tensormask import small_model
from tiny_rcnn import make_batch

from lazycfg.utils import SyncCounter


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("masks", ["polygons", "bitmasks"])
def test_waits_and_ops(masks: str, training: bool) -> None:
    """In training for the anchors of objects; else for the candidates, and for boxes that become empty."""
    model = small_model("max_detections_per_image=20").train(training)
    counts = []
    for n in (1, 2, 8):
        batch = make_batch(3, masks)[2:] * n
        with torch.set_grad_enabled(training):
            model(batch)
            with SyncCounter() as counter:
                model(batch)
        counts.append(counter)
    assert [c.num_syncs for c in counts] == [1 if training else 2] * 3, [c.waits() for c in counts]
    ops = [c.num_ops for c in counts]
    assert max(ops) - min(ops) <= 60, ops


@pytest.mark.parametrize("empty", [(), (0,), (0, 1)], ids=["objects", "one without", "no objects"])
@pytest.mark.parametrize("masks", ["polygons", "bitmasks"])
def test_training_with_few_objects(masks: str, empty: tuple[int, ...]) -> None:
    model = small_model().train()
    losses = model(make_batch(2, masks, empty=empty))
    sum(losses.values()).backward()
    assert set(losses) == {"loss_cls", "loss_box_reg", "loss_mask"}
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert (losses["loss_mask"] > 0) == (losses["loss_box_reg"] > 0) == (len(empty) < 2)
    missing = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not missing


def test_polygons_and_bit_masks_teach_the_same() -> None:
    model = small_model().train()
    polygons, bits = (model(make_batch(3, masks))["loss_mask"].item() for masks in ("polygons", "bitmasks"))
    assert bits == pytest.approx(polygons, rel=0.05)


def test_ground_truth_without_masks_is_told() -> None:
    with pytest.raises(ValueError, match=r"that of image 0 has \['gt_boxes', 'gt_classes'\]"):
        small_model().train()(make_batch(1, "none"))
    mixed = [*make_batch(1, "polygons"), *make_batch(2, "bitmasks")[1:]]
    with pytest.raises(TypeError, match=r"\['BitMasks', 'PolygonMasks'\]"):
        small_model().train()(mixed)


@torch.no_grad()
def test_an_image_does_not_depend_on_the_others() -> None:
    model = small_model().eval()
    batch = make_batch(3, "none")[2:] * 2
    batch[0] = {**batch[0], "image": batch[0]["image"].flip(-1), "height": 96, "width": 50}
    together = model(batch)
    for item, found in zip(batch, together, strict=True):
        alone, found = model([item])[0]["instances"], found["instances"]
        assert len(alone) == len(found) > 0
        assert found.pred_masks.shape == (len(found), item["height"], item["width"])
        assert found.pred_masks.dtype == torch.bool
        assert found.pred_masks.any()
        torch.testing.assert_close(alone.pred_boxes.tensor, found.pred_boxes.tensor, rtol=0, atol=0.01)
        assert (alone.pred_masks != found.pred_masks).float().mean() < 1e-3
        assert set(found.get_fields()) == {"pred_boxes", "scores", "pred_classes", "pred_masks"}
    assert model([]) == []


@torch.no_grad()
def test_masks_lie_in_the_windows_of_their_anchors() -> None:
    model = small_model().eval()
    batch = make_batch(1, "none")
    images = model.preprocess_image(batch)
    maps = [model.backbone(images.tensor)[name] for name in model.head_in_features]
    (raw,) = model.forward_inference(images, maps, model.head(maps))
    (whole,) = model.postprocess([raw], [raw.image_size])
    sides = {mask.shape[-1] for mask in raw.window_masks}
    assert len(sides) > 1
    assert sides <= {side * 2**level for side in (11, 15) for level in range(4)}
    # a mask is that of its window, wherever the box is
    raw.pred_boxes.clip(raw.image_size)
    windows = raw.windows[raw.pred_boxes.nonempty()]
    for window, mask in zip(windows, whole.pred_masks, strict=True):
        outside = mask.clone()
        x0, y0, x1, y1 = (int(v) for v in window.tolist())
        outside[max(0, y0 - 1) : y1 + 2, max(0, x0 - 1) : x1 + 2] = False
        assert not outside.any()


@torch.no_grad()
def test_nothing_found() -> None:
    model = small_model("test_score_thresh=1.0").eval()
    (found,) = model(make_batch(1, "none"))
    assert found["instances"].pred_masks.shape == (0, 128, 192)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "head.mask_sizes=[11,13]",
            r"\[11, 15\] in units of the stride 4; the head's mask_sizes are \[11, 13\]",
        ),
        ("head_in_features=[p2,p3,p4]", "3 head_in_features, but anchors of 4 levels"),
        ("anchor_generator.aspect_ratios=[1.0,2.0]", r"\[4, 4, 4, 4\] anchors at a place"),
        ("anchor_generator.strides=[4,8,16,64]", "strides double"),
    ],
)
def test_parts_that_do_not_fit_are_told(override: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        small_model(override)


def test_half_precision() -> None:
    model = small_model().train()
    batch = make_batch(2, "bitmasks")
    whole = model(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model(batch)
    sum(losses.values()).backward()
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(whole[name].item(), rel=0.05), name
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert len(model.eval()(batch)[0]["instances"]) > 0


def test_backbone_and_head_compile_whole() -> None:
    torch._dynamo.reset()
    model = small_model()
    maps = [torch.randn(1, 16, 64 // s, 96 // s) for s in (4, 8, 16, 32)]
    for part, x in ((model.backbone, torch.randn(1, 3, 64, 96)), (model.head, maps)):
        explained = torch._dynamo.explain(part)(x)
        assert explained.graph_break_count == 0, explained.break_reasons
    torch._dynamo.reset()


@pytest.mark.slow
def test_it_learns_boxes_and_masks() -> None:
    batch = few_shapes(masks=True)
    model = small_model("num_classes=2", "head.mask_channels=32", "head.cls_channels=32")
    before, after = learn(model, batch, steps=120, lr=2e-3)
    assert after < 0.4 * before
    for item, (found, overlap, index) in zip(batch, found_objects(model, batch), strict=True):
        assert (overlap > 0.6).all(), overlap
        truth, masks = item["instances"].gt_masks.tensor, found.pred_masks[index]
        shared = (truth & masks).flatten(1).sum(1) / (truth | masks).flatten(1).sum(1)
        assert (shared > 0.6).all(), shared
