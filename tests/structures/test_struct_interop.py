"""What goes to another library and comes back is equal."""

import importlib.util
import sys
import types

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg.structures import (
    BitMasks,
    Boxes,
    Instances,
    Keypoints,
    PolygonMasks,
    ROIMasks,
    RotatedBoxes,
    from_fiftyone,
    from_supervision,
    from_torchvision,
    to_fiftyone,
    to_supervision,
    to_torchvision,
)

SIZE = (24, 32)
NAMES = ("cat", "dog", "fox")


def objects(count, seed=0, kind="pred"):
    """With every field; the masks lie in the boxes."""
    random = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, 2, generator=random).sort(dim=1).values
    boxes = (corners * torch.tensor([SIZE[1], SIZE[0]])).flatten(1)
    masks = torch.zeros(count, *SIZE, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes.round().long().tolist(), strict=True):
        mask[y0:y1, x0:x1] = torch.rand(y1 - y0, x1 - x0, generator=random) > 0.3
    points = torch.rand(count, 5, 3, generator=random)
    instances = Instances(SIZE, **{f"{kind}_boxes": Boxes(boxes)})
    instances.set(f"{kind}_classes", torch.randint(3, (count,), generator=random))
    if kind == "pred":
        instances.scores = torch.rand(count, generator=random)
        instances.pred_masks, instances.pred_keypoints = masks, points
    else:
        points[..., 2] = (3 * points[..., 2]).floor()
        instances.gt_masks, instances.gt_keypoints = BitMasks(masks), Keypoints(points)
    return instances


def assert_equal(found, expected):
    assert found.image_size == expected.image_size
    assert found.get_fields().keys() == expected.get_fields().keys()
    for name, value in expected.get_fields().items():
        other = found.get(name)
        assert type(other) is type(value), name
        if isinstance(value, list):
            assert other == value
            continue
        value, other = getattr(value, "tensor", value), getattr(other, "tensor", other)
        assert value.dtype == other.dtype, name
        assert torch.equal(value, other), name


def test_supervision():
    pytest.importorskip("supervision")
    for kind in ("pred", "gt"):
        for count in (0, 1, 7):
            expected = objects(count, kind=kind)
            if kind == "pred":
                expected.ID = list(range(count))
                expected.depth = torch.rand(count)
            detections = to_supervision(expected, NAMES, kind=kind)
            assert len(detections) == count
            assert_equal(from_supervision(detections, kind=kind), expected)
            names = [NAMES[number] for number in expected.get(f"{kind}_classes")]
            assert list(detections.data["class_name"]) == names


def test_supervision_filters_and_annotates():
    sv = pytest.importorskip("supervision")
    instances = objects(7)
    detections = to_supervision(instances, NAMES)
    kept = from_supervision(detections[detections.confidence > 0.5])
    assert_equal(kept, instances[instances.scores > 0.5])
    image = np.zeros((*SIZE, 3), np.uint8)
    assert sv.MaskAnnotator().annotate(image.copy(), detections).any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 6), st.integers(0, 2**16), st.sampled_from(["pred", "gt"]))
def test_torchvision(count, seed, kind):
    expected = objects(count, seed, kind)
    result = to_torchvision(expected, kind=kind)
    assert torch.equal(result["labels"], expected.get(f"{kind}_classes") + 1)
    assert result["masks"].shape == ((count, 1, *SIZE) if kind == "pred" else (count, *SIZE))
    assert_equal(from_torchvision(result, SIZE, kind=kind), expected)


def test_torchvision_trains_on_it():
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    model = maskrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=4,
        min_size=24,
        max_size=32,
        rpn_pre_nms_top_n_train=20,
    )
    instances = objects(3, seed=1, kind="gt")
    losses = model([torch.rand(3, *SIZE)] * 2, [to_torchvision(instances, kind="gt")] * 2)
    assert all(torch.isfinite(loss) for loss in losses.values())


@pytest.fixture
def fiftyone(monkeypatch):
    """The library; or, where it is not installed, classes with the attributes that it documents."""
    if importlib.util.find_spec("fiftyone") is not None:
        return importlib.import_module("fiftyone")
    labels = {
        "Detection": {"label": None, "bounding_box": None, "confidence": None, "mask": None},
        "Detections": {"detections": None},
        "Keypoint": {"label": None, "points": None, "confidence": None},
        "Keypoints": {"keypoints": None},
    }

    def label_class(name, fields):
        def init(self, **values):
            assert values.keys() <= fields.keys()
            self.__dict__.update(fields | values)

        return type(name, (), {"__init__": init})

    module = types.ModuleType("fiftyone")
    for name, fields in labels.items():
        setattr(module, name, label_class(name, fields))
    monkeypatch.setitem(sys.modules, "fiftyone", module)
    return module


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["pred", "gt"])
def test_fiftyone(fiftyone, seed, kind):
    expected = objects(seed + 1, seed, kind)
    expected.remove(f"{kind}_keypoints")
    detections = to_fiftyone(expected, NAMES, kind=kind)
    assert_equal(from_fiftyone(detections, SIZE, NAMES, kind=kind), expected)
    first = detections.detections[0]
    x0, y0, x1, y1 = expected.get(f"{kind}_boxes").tensor[0].tolist()
    relative = [x0 / SIZE[1], y0 / SIZE[0], (x1 - x0) / SIZE[1], (y1 - y0) / SIZE[0]]
    assert first.bounding_box == pytest.approx(relative)
    assert first.label == NAMES[expected.get(f"{kind}_classes")[0]]


def test_fiftyone_keypoints(fiftyone):
    predicted = objects(3)
    found = to_fiftyone(predicted, NAMES, keypoints=True).keypoints
    points = torch.tensor([label.points for label in found]) * torch.tensor([SIZE[1], SIZE[0]])
    torch.testing.assert_close(points, predicted.pred_keypoints[..., :2])
    assert found[1].confidence == pytest.approx(predicted.pred_keypoints[1, :, 2].tolist())
    truth = objects(3, kind="gt")
    unlabelled = truth.gt_keypoints.tensor[..., 2] == 0
    found = to_fiftyone(truth, NAMES, kind="gt", keypoints=True).keypoints
    assert torch.equal(torch.tensor([label.points for label in found]).isnan().all(-1), unlabelled)


def test_fiftyone_masks_of_another_size(fiftyone):
    detections = to_fiftyone(objects(1), NAMES)
    label = detections.detections[0]
    label.bounding_box, label.mask = [0.25, 0.0, 0.5, 0.5], np.eye(2, dtype=bool)
    (mask,) = from_fiftyone(detections, SIZE, NAMES).pred_masks
    assert mask[:6, 8:16].all()
    assert mask[6:12, 16:24].all()
    assert mask.sum() == 2 * 6 * 8


@pytest.mark.parametrize("masks", ["roi", "polygons"])
def test_masks_of_any_kind(masks):
    boxes = torch.tensor([[2.0, 3.0, 20.0, 15.0]])
    if masks == "roi":
        instances = Instances(SIZE, pred_boxes=Boxes(boxes), pred_masks=ROIMasks(torch.ones(1, 28, 28)))
        result = to_torchvision(instances)["masks"][:, 0]
    else:
        square = [[np.array([2.0, 3.0, 20.0, 3.0, 20.0, 15.0, 2.0, 15.0])]]
        instances = Instances(SIZE, gt_boxes=Boxes(boxes), gt_masks=PolygonMasks(square))
        result = to_torchvision(instances, kind="gt")["masks"]
    assert result.shape == (1, *SIZE)
    assert result.sum() == 18 * 12


def test_what_cannot_be_said_is_refused():
    upright = objects(2)
    rotated = Instances(SIZE, pred_boxes=RotatedBoxes(torch.zeros(2, 5)))
    with pytest.raises(ValueError, match="rotated"):
        to_torchvision(rotated)
    with pytest.raises(ValueError, match="no gt_boxes"):
        to_torchvision(upright, kind="gt")
    with pytest.raises(ValueError, match="image_size"):
        from_torchvision({"boxes": torch.zeros(1, 4)})
    with pytest.raises(ValueError, match="background"):
        from_torchvision({"boxes": torch.zeros(1, 4), "labels": torch.zeros(1)}, SIZE)
    with pytest.raises(ValueError, match="'depth'"):
        from_torchvision({"boxes": torch.zeros(1, 4), "depth": torch.zeros(1)}, SIZE)


def test_names_and_fields_that_are_wrong(fiftyone):
    with pytest.raises(ValueError, match="has no name: there are 1"):
        to_fiftyone(objects(7), ("cat",))
    detections = to_fiftyone(objects(7), NAMES)
    with pytest.raises(ValueError, match="is none of the 1 classes"):
        from_fiftyone(detections, SIZE, ("wolf",))


def test_a_field_that_is_no_array():
    pytest.importorskip("supervision")
    instances = objects(2)
    instances.words = ["a", "b"]
    with pytest.raises(TypeError, match="words is a list"):
        to_supervision(instances)


@pytest.mark.parametrize("name", ["supervision", "fiftyone"])
def test_a_library_that_is_not_there(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    call = {"supervision": to_supervision, "fiftyone": lambda x: to_fiftyone(x, NAMES)}[name]
    with pytest.raises(ImportError, match=f"needs {name}: pip install"):
        call(objects(1))
