"""Inputs that people give and generated ones are not like: fields left out, images of other types."""

from typing import Any

import pytest
import torch
import torch._dynamo
from tiny_families import FAMILIES, family, make_inputs

from lazycfg.structures import Boxes, Instances

DENSE = [name for name in FAMILIES if name not in ("semantic", "c4")]


def losses_of(name: str, batch: list[dict[str, Any]]) -> dict[str, float]:
    torch.manual_seed(0)
    return {key: float(loss.detach()) for key, loss in family(name).train()(batch).items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in DENSE if name not in ("cascade", "panoptic")])
def test_compiled_detects_the_same(name: str) -> None:
    torch._dynamo.reset()
    model = family(name).eval()
    batch = make_inputs(2, name)
    field = "proposals" if name == "rpn" else "instances"
    with torch.no_grad():
        expected = model(batch)
        found = torch.compile(model, backend="eager")(batch)
    torch._dynamo.reset()
    for a, b in zip(expected, found, strict=True):
        assert len(a[field]) == len(b[field]) > 0
    if name == "keypoint":
        points = [torch.cat([x["instances"].pred_keypoints for x in out]) for out in (expected, found)]
        torch.testing.assert_close(*points, rtol=1e-3, atol=1e-2)


def without_objects(item: dict[str, Any], *names: str) -> dict[str, Any]:
    """The image with no object, and none of the fields that there is nothing of but these."""
    own = item["instances"][:0]
    return {**item, "instances": Instances(own.image_size, **{name: own.get(name) for name in names})}


@pytest.mark.parametrize("name", ["mask", "cascade", "c4", "keypoint", "panoptic", "retinanet", "fcos"])
@pytest.mark.parametrize("empty", [(0,), (1,), (0, 1)], ids=["first", "last", "all"])
def test_images_without_objects_need_no_other_fields(name: str, empty: tuple[int, ...]) -> None:
    batch = make_inputs(2, name)
    whole, bare = list(batch), list(batch)
    for i in empty:
        whole[i] = without_objects(batch[i], *batch[i]["instances"].get_fields())
        bare[i] = without_objects(batch[i], "gt_boxes")
    assert losses_of(name, bare) == pytest.approx(losses_of(name, whole), rel=1e-5)


@pytest.mark.parametrize("name", ["mask", "retinanet", "fcos"])
def test_objects_need_classes(name: str) -> None:
    batch = make_inputs(2, name)
    batch[1]["instances"].remove("gt_classes")
    with pytest.raises(ValueError, match="objects without gt_classes"):
        losses_of(name, batch)


def test_proposals_need_no_classes() -> None:
    batch = make_inputs(2, "rpn")
    expected = losses_of("rpn", batch)
    for item in batch:
        item["instances"].remove("gt_classes")
    assert losses_of("rpn", batch) == expected


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["bytes first", "floats first"])
def test_images_of_several_types(order: tuple[int, int]) -> None:
    model = family("faster").eval()
    batch = make_inputs(2)
    batch[1]["image"] = batch[1]["image"].float() + 0.4
    images = [batch[i] for i in order]
    found = model.preprocess_image(images).tensor
    alone = torch.cat([model.preprocess_image([item]).tensor for item in images])
    assert torch.equal(found, alone)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int32, torch.float64])
def test_images_of_any_type(dtype: torch.dtype) -> None:
    model = family("faster").eval()
    batch = make_inputs(2, sizes=[(64, 96), (50, 40)])
    expected = model.preprocess_image(batch).tensor
    for item in batch:
        item["image"] = item["image"].to(dtype)
    found = model.preprocess_image(batch).tensor
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2, check_dtype=False)


def test_gradients_reach_the_images() -> None:
    batch = make_inputs(2, sizes=[(64, 96), (50, 40)])
    for item in batch:
        item["image"] = item["image"].float().requires_grad_()
    sum(family("mask").train()(batch).values()).backward()
    assert all(item["image"].grad.abs().sum() > 0 for item in batch)


def test_boxes_that_are_none_pool_to_zeros() -> None:
    pooler = family("faster").roi_heads.box_pooler
    maps = [torch.rand(1, 4, 64 // s, 64 // s) for s in (1, 2, 4, 8)]
    boxes = torch.tensor([[8.0, 8, 40, 40], [40, 8, 8, 40], [float("nan")] * 4])
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            pooled = pooler(maps, [Boxes(boxes)])
        assert pooled[0].abs().sum() > 0
        assert not pooled[1:].any()


def test_arrays_are_no_images() -> None:
    with pytest.raises(TypeError, match=r"a tensor .* got ndarray"):
        family("faster").eval()([{"image": torch.zeros(3, 64, 64).numpy()}])
