"""The heads of PointRend: what they predict, where they learn, and images that are not as others."""

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_point_rend import small_model
from tiny_rcnn import make_batch

from lazycfg.checkpoint import load_weights
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import generate_regular_grid_point_coords, point_sample
from lazycfg.projects.point_rend import (
    ConvFCHead,
    ImplicitPointHead,
    ImplicitPointRendMaskHead,
    PointRendMaskHead,
    PointRendSemSegHead,
    StandardPointHead,
    roi_mask_point_loss,
)
from lazycfg.projects.point_rend.mask_head import calculate_uncertainty
from lazycfg.projects.point_rend.semantic_seg import calculate_uncertainty as semantic_uncertainty
from lazycfg.structures import Boxes, Instances
from lazycfg.utils.events import EventStorage

LOSSES = {"pointrend": {"loss_mask", "loss_mask_point"}, "implicit": {"loss_l2", "loss_mask_point"}}


def losses_of(model: torch.nn.Module, batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    with EventStorage(0):
        return model.train()(batch)


def semantic_batch(n: int, label: int | None = None) -> list[dict[str, Any]]:
    batch = make_batch(n)
    for item in batch:
        h, w = item["image"].shape[1:]
        item["sem_seg"] = (
            torch.arange(h)[:, None].expand(h, w) // 16 % 5 if label is None else torch.full((h, w), label)
        )
        del item["instances"]
    return batch


@pytest.mark.parametrize("name", LOSSES)
def test_every_parameter_learns(name: str) -> None:
    model = small_model(name)
    losses = losses_of(model, make_batch(3, "bitmasks"))
    assert set(losses) >= LOSSES[name]
    sum(losses.values()).backward()
    head = model.roi_heads.mask_head
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters())
    assert all(p.grad.any() for k, p in head.named_parameters() if k.endswith("weight"))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("empty", [(0,), (0, 1)], ids=["one empty image", "only empty images"])
def test_images_without_objects(name: str, empty: tuple[int, ...]) -> None:
    model = small_model(name)
    losses = losses_of(model, make_batch(2, "bitmasks", empty))
    assert all(torch.isfinite(x) for x in losses.values())
    if len(empty) == 2:
        assert all(losses[k] == 0 for k in LOSSES[name])
    sum(losses.values()).backward()
    # no process of several waits for the gradient of another
    assert all(p.grad is not None for p in model.roi_heads.mask_head.parameters())


@pytest.mark.parametrize("name", LOSSES)
def test_masks_of_detections(name: str) -> None:
    model = small_model(name).eval()
    with torch.no_grad():
        results = model.inference(make_batch(3), do_postprocess=False)
        side = 224 if name == "pointrend" else 112  # 7 * 2^5, sqrt(196) * 2^3
        assert [x.pred_masks.shape[1:] for x in results] == [(1, side, side)] * 3
        assert sum(len(x) for x in results) > 0
        model.roi_heads.box_predictor.test_score_thresh = 2.0
        (none,) = model.inference(make_batch(1), do_postprocess=False)
        assert none.pred_masks.shape == (0, 1, side, side)
        assert model(make_batch(1))[0]["instances"].pred_masks.shape == (0, 128, 192)


def test_images_of_a_batch_are_predicted_as_alone() -> None:
    model = small_model("pointrend").eval()
    batch = [item for item in make_batch(6) if item["image"].shape[1:] == (64, 96)]
    with torch.no_grad():
        together = model.inference(batch, do_postprocess=False)
        for item, x in zip(batch, together, strict=True):
            (alone,) = model.inference([item], do_postprocess=False)
            torch.testing.assert_close(alone.pred_masks, x.pred_masks, rtol=1e-3, atol=1e-4)


def plain_subdivision(head: Any, features: Any, boxes: Any, classes: Any, representation: Any) -> Any:
    """All classes at every step, as in the paper; the steps that make a difference."""
    side, steps = head.mask_point_subdivision_init_resolution, head.mask_point_subdivision_steps
    grid = generate_regular_grid_point_coords(len(classes), side, "cpu")
    masks = head.point_logits(features, boxes, grid, representation).unflatten(2, (side, side))
    rows = torch.arange(len(classes))
    for _ in range(steps):
        masks = F.interpolate(masks, scale_factor=2, mode="bilinear", align_corners=False)
        own = masks[rows, classes if masks.shape[1] > 1 else 0].flatten(1)
        for r in rows.tolist():
            for index in own[r].abs().argsort()[: head.mask_point_subdivision_num_points].tolist():
                y, x = divmod(index, masks.shape[3])
                point = torch.tensor([[[(x + 0.5) / masks.shape[3], (y + 0.5) / masks.shape[2]]]])
                part = head.point_logits(features, [boxes[0][r]], point, representation[r : r + 1])
                masks[r, :, y, x] = part[0, :, 0]
    return masks[rows, classes if masks.shape[1] > 1 else 0].sigmoid().unsqueeze(1)


@pytest.mark.parametrize("agnostic", [False, True])
def test_subdivision_equals_one_pixel_after_another(agnostic: bool) -> None:
    torch.manual_seed(1)
    head = PointRendMaskHead(
        input_shape={"p2": ShapeSpec(channels=4, stride=4)},
        coarse_head=ConvFCHead(
            ShapeSpec(channels=4, height=14, width=14), conv_dim=4, fc_dims=[8], output_shape=(3, 4, 4)
        ),
        point_head=StandardPointHead(
            ShapeSpec(channels=4), num_classes=3, fc_dims=[8], cls_agnostic_mask=agnostic
        ),
        mask_point_subdivision_steps=2,
        mask_point_subdivision_num_points=20,
    ).eval()
    with torch.no_grad():
        for p in head.parameters():
            p.normal_()
        features = {"p2": torch.randn(1, 4, 12, 16)}
        x = Instances((48, 64), pred_boxes=Boxes([[3.0, 4, 40, 30], [10, 0, 60, 48]]))
        x.pred_classes = torch.tensor([2, 0])
        head(features, [x])
        coarse = head.coarse_head(head.pool(features, [x.pred_boxes]))
        expected = plain_subdivision(head, features, [x.pred_boxes], x.pred_classes, coarse)
    assert x.pred_masks.shape == (2, 1, 16, 16)
    torch.testing.assert_close(x.pred_masks, expected, rtol=1e-4, atol=1e-5)


def test_steps_that_would_predict_every_point_are_left_out() -> None:
    head = small_model("pointrend", mask_point_subdivision_num_points=784).roi_heads.mask_head
    assert (head.mask_point_subdivision_init_resolution, head.mask_point_subdivision_steps) == (28, 3)
    head = small_model("pointrend", mask_point_subdivision_num_points=195).roi_heads.mask_head
    assert (head.mask_point_subdivision_init_resolution, head.mask_point_subdivision_steps) == (7, 5)
    head = small_model("pointrend", mask_point_subdivision_steps=0).roi_heads.mask_head
    assert (head.mask_point_subdivision_init_resolution, head.mask_point_subdivision_steps) == (7, 0)


def test_coarse_masks_alone() -> None:
    model = small_model("pointrend", point_head=None)
    losses = losses_of(model, make_batch(2, "bitmasks"))
    assert "loss_mask" in losses
    assert "loss_mask_point" not in losses
    with torch.no_grad():
        (x,) = model.eval().inference(make_batch(1), do_postprocess=False)
    assert x.pred_masks.shape[1:] == (1, 7, 7)


def test_several_maps_and_a_class_agnostic_head() -> None:
    model = small_model("pointrend")
    head = model.roi_heads.mask_head
    wide = PointRendMaskHead(
        input_shape={"p2": ShapeSpec(channels=16, stride=4), "p3": ShapeSpec(channels=16, stride=8)},
        coarse_head=ConvFCHead(
            ShapeSpec(channels=32, height=14, width=14), conv_dim=16, fc_dims=[8], output_shape=(3, 7, 7)
        ),
        point_head=StandardPointHead(
            ShapeSpec(channels=32),
            num_classes=3,
            fc_dims=[16, 16],
            cls_agnostic_mask=True,
            coarse_pred_each_layer=False,
        ),
        roi_pooler_in_features=["p2", "p3"],
        mask_point_in_features=["p2", "p3"],
    )
    assert wide.coarse_head.reduce_channel_dim_conv.weight.shape == (16, 32, 1, 1)
    assert wide.point_head.fc2.weight.shape == (16, 16, 1)
    assert wide.point_head.predictor.weight.shape == (1, 16, 1)
    model.roi_heads.mask_head = wide
    assert set(losses_of(model, make_batch(2, "bitmasks"))) >= LOSSES["pointrend"]
    with torch.no_grad():
        (x,) = model.eval().inference(make_batch(1), do_postprocess=False)
    assert x.pred_masks.shape[1:] == (1, 224, 224)
    assert head is not wide


@pytest.mark.parametrize(("image", "position"), [(True, False), (False, True), (True, True)])
def test_implicit_head_is_a_small_network_of_each_region(image: bool, position: bool) -> None:
    torch.manual_seed(0)
    head = ImplicitPointHead(
        ShapeSpec(channels=5),
        num_classes=3,
        channels=6,
        num_fc=2,
        image_feature_enabled=image,
        positional_encoding_enabled=position,
        positional_channels=8,
    )
    fine, points = torch.randn(4, 5, 7), torch.rand(4, 7, 2)
    parameters = torch.randn(4, head.num_params)
    out = head(fine, points, parameters)
    for r in range(4):
        seen = []
        if position:
            phase = 2 * torch.pi * (2 * points[r] - 1) @ head.positional_encoding_gaussian_matrix
            seen += [phase.sin(), phase.cos()]
        if image:
            seen.append(fine[r].T)
        x = torch.cat(seen, dim=1)
        sizes = [x.shape[1], 6, 6, 3]
        rest = parameters[r]
        weights = []
        for i, o in itertools.pairwise(sizes):
            weights.append(rest[: i * o].view(o, i))
            rest = rest[i * o :]
        for k, (weight, o) in enumerate(zip(weights, sizes[1:], strict=True)):
            x = F.linear(x, weight, rest[:o])
            rest = rest[o:]
            x = x.relu() if k < 2 else x
        assert not len(rest)
        torch.testing.assert_close(out[r], x.T, rtol=1e-4, atol=1e-5)
    assert head(fine[:0], points[:0], parameters[:0]).shape == (0, 3, 7)


def test_the_reference_s_number_of_parameters() -> None:
    head = ImplicitPointHead(ShapeSpec(channels=256), num_classes=80)
    assert head.num_params == 283472
    assert list(head.state_dict()) == ["positional_encoding_gaussian_matrix"]


def test_point_loss_leaves_out_what_is_ignored() -> None:
    logits = torch.tensor([[[1.0, -2.0, 3.0], [0.5, 0.5, 0.5]], [[9.0, 9, 9], [-1.0, 2.0, 4.0]]])
    labels = torch.tensor([[1.0, 1.0, -1.0], [0.25, -1.0, 0.0]])
    instances = [Instances((1, 1), gt_classes=torch.tensor([c])) for c in (0, 1)]
    with EventStorage(0) as storage:
        loss = roi_mask_point_loss(logits, instances, labels)
    one = F.binary_cross_entropy_with_logits
    of_points = [
        one(logits[0, 0, :2], labels[0, :2], reduction="sum"),
        one(logits[1, 1, ::2], labels[1, ::2], reduction="sum"),
    ]
    assert loss == pytest.approx(float(sum(of_points)) / 6)
    # right: 1.0 of 1, not -2 of 1, -1 of 0.25, not 4 of 0
    assert storage.latest()["point/accuracy"][0] == pytest.approx(0.5)
    with EventStorage(0) as storage:
        assert roi_mask_point_loss(logits[:, :1], instances, torch.full((2, 3), -1.0)) == 0
    assert storage.latest()["point/accuracy"][0] == 0


def test_uncertainties() -> None:
    logits = torch.tensor([[[1.0, -3.0], [0.5, 8.0]]])
    assert calculate_uncertainty(logits, torch.tensor([1])).tolist() == [[[-0.5, -8.0]]]
    assert calculate_uncertainty(logits[:, :1], torch.tensor([1])).tolist() == [[[-1.0, -3.0]]]
    assert semantic_uncertainty(logits).tolist() == [[[-0.5, -11.0]]]


def test_semantic_training_and_labels_that_are_ignored() -> None:
    model = small_model("semantic")
    losses = losses_of(model, semantic_batch(3))
    assert set(losses) == {"loss_sem_seg", "loss_sem_seg_point"}
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.any() for p in model.sem_seg_head.parameters())
    losses = losses_of(model, semantic_batch(2, 255))
    assert all(x == 0 for x in losses.values())
    with pytest.raises(ValueError, match="needs targets"):
        model([{"image": torch.zeros(3, 64, 64)}])


def test_semantic_refinement() -> None:
    model = small_model("semantic").eval()
    with torch.no_grad():
        outputs = model(semantic_batch(2))
        assert [x["sem_seg"].shape for x in outputs] == [(5, 128, 192), (5, 160, 128)]
        head: PointRendSemSegHead = model.sem_seg_head
        features = {f"p{k}": torch.randn(2, 16, 64 >> k, 96 >> k) for k in range(2, 6)}
        coarse = head.coarse_sem_seg_head.layers(features)
        logits, _ = head(features)
        bare = coarse
        for _ in range(2):
            bare = F.interpolate(bare, scale_factor=2, mode="bilinear", align_corners=False)
        changed = (logits != bare).any(dim=1).flatten(1).sum(dim=1)
        assert (changed >= 100).all()  # at least those of the last step
        assert (changed < 64 * 96 / 2).all()
        # all points: the point head everywhere
        head.subdivision_num_points = 10**6
        everywhere, _ = head(features)
        grid = (torch.arange(96) + 0.5) / 96, (torch.arange(64) + 0.5) / 64
        points = torch.stack(torch.meshgrid(*grid, indexing="xy"), dim=2).view(1, -1, 2).expand(2, -1, -1)
        expected = head.point_logits(features, coarse, points).unflatten(2, (64, 96))
        torch.testing.assert_close(everywhere, expected, rtol=1e-4, atol=1e-5)


def test_semantic_head_of_several_maps() -> None:
    coarse = small_model("semantic").sem_seg_head.coarse_sem_seg_head
    head = PointRendSemSegHead(
        coarse_sem_seg_head=coarse,
        point_head=StandardPointHead(ShapeSpec(channels=32), num_classes=5, fc_dims=[8]),
        in_features=["p2", "p3"],
    ).eval()
    features = {f"p{k}": torch.randn(1, 16, 64 >> k, 96 >> k) for k in range(2, 6)}
    with torch.no_grad():
        assert head(features)[0].shape == (1, 5, 64, 96)


def test_point_labels_of_pixels_are_not_mixed() -> None:
    labels = torch.tensor([[0, 7], [255, 3]])
    points = torch.tensor([[[0.49, 0.49], [0.51, 0.49], [0.01, 0.99], [0.99, 0.99]]])
    got = point_sample(labels[None, None].float(), points, mode="nearest")
    assert got.long().flatten().tolist() == [0, 7, 255, 3]


def test_what_cannot_be_is_said() -> None:
    spec = ShapeSpec(channels=4, height=14, width=14)
    coarse = ConvFCHead(spec, conv_dim=4, fc_dims=[8], output_shape=(3, 7, 7))
    with pytest.raises(ValueError, match="stride of 'p2'"):
        PointRendMaskHead(input_shape={}, coarse_head=coarse, point_head=None)
    shape = {"p2": ShapeSpec(channels=4, stride=4)}
    with pytest.raises(ValueError, match="oversample_ratio"):
        PointRendMaskHead(
            input_shape=shape, coarse_head=coarse, point_head=None, mask_point_oversample_ratio=0.5
        )
    implicit = ImplicitPointHead(ShapeSpec(channels=4), num_classes=3, channels=4)
    fitting = ConvFCHead(spec, conv_dim=4, fc_dims=[8], output_shape=(implicit.num_params,))
    with pytest.raises(ValueError, match="must be a square number: 729 or 784, not 783"):
        ImplicitPointRendMaskHead(
            input_shape=shape,
            parameter_head=fitting,
            point_head=implicit,
            mask_point_subdivision_num_points=783,
        )
    with pytest.raises(ValueError, match=f"make it .{implicit.num_params}."):
        ImplicitPointRendMaskHead(input_shape=shape, parameter_head=coarse, point_head=implicit)
    with pytest.raises(ValueError, match="sees nothing of a point"):
        ImplicitPointHead(
            ShapeSpec(channels=4),
            num_classes=3,
            image_feature_enabled=False,
            positional_encoding_enabled=False,
        )
    with pytest.raises(ValueError, match="at least two classes"):
        PointRendSemSegHead(
            coarse_sem_seg_head=torch.nn.Identity(),
            point_head=StandardPointHead(ShapeSpec(channels=4), num_classes=1),
        )


def test_published_weights_with_their_first_names_load() -> None:
    model, other = small_model("pointrend"), small_model("pointrend")
    with torch.no_grad():
        for p in other.parameters():
            p.add_(1)
    old = {}
    for key, value in other.state_dict().items():
        key = key.replace("roi_heads.mask_head.point_head.", "roi_heads.mask_point_head.")
        key = key.replace("roi_heads.mask_head.coarse_head.fc", "roi_heads.mask_coarse_head.coarse_mask_fc")
        old[key.replace("roi_heads.mask_head.coarse_head.", "roi_heads.mask_coarse_head.")] = value
    assert sum("mask_coarse_head.coarse_mask_fc1" in key for key in old) == 2
    report = load_weights(model, old)
    assert not report.problems
    for key, value in other.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pointrend", "implicit", "semantic"])
def test_they_learn_one_batch(name: str) -> None:
    model = small_model(name)
    batch = semantic_batch(2) if name == "semantic" else make_batch(2, "bitmasks")
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    points = []
    for _ in range(25):
        losses = losses_of(model, batch)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        points.append(sum(v.item() for k, v in losses.items() if k.endswith("_point")))
    assert sum(points[-3:]) < 0.6 * sum(points[:3]), points
