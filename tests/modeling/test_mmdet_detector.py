"""Detectors of mmdetection, whose place a stand-in takes."""

import sys

import numpy as np
import pytest
import torch
from mmdet_stand_in import BitmapMasks, Version2, Version3, install
from mmdet_stand_in import PolygonMasks as TheirPolygons
from torch import nn

from lazycfg.modeling import MMDetDetector
from lazycfg.structures import BitMasks, Boxes, Instances, PolygonMasks
from lazycfg.utils import EventStorage

CONSTANTS = {"pixel_mean": [10.0, 20, 30], "pixel_std": [1.0, 2, 4]}


@pytest.fixture(params=[2, 3])
def version(request, monkeypatch):
    install(monkeypatch, request.param)
    return request.param


def detector_of(version, **options):
    return (Version2 if version == 2 else Version3)(**options)


def inputs(masks=None):
    items = []
    for height, width in ((40, 50), (60, 30)):
        truth = Instances((height, width), gt_boxes=Boxes(torch.tensor([[1.0, 2, 9, 9]])))
        truth.gt_classes = torch.tensor([2])
        if masks == "bits":
            truth.gt_masks = BitMasks(torch.ones(1, height, width, dtype=torch.bool))
        if masks == "polygons":
            truth.gt_masks = PolygonMasks([[np.array([1.0, 2, 9, 2, 9, 9])]])
        image = torch.full((3, height, width), 12, dtype=torch.uint8)
        items.append({"image": image, "height": 2 * height, "width": 3 * width, "instances": truth})
    return items


@pytest.mark.parametrize("masks", [None, "bits", "polygons"])
def test_training(version, masks):
    model = MMDetDetector(detector_of(version), **CONSTANTS)
    assert model.detector.initialised == 1
    with EventStorage() as storage:
        losses = model(inputs(masks))
    assert set(losses) == {"loss_cls", "loss_bbox"}
    assert torch.isclose(losses["loss_bbox"], 3 * losses["loss_cls"])
    sum(losses.values()).backward()
    assert model.detector.conv.weight.grad is not None
    assert storage.latest() == {"acc": (0.5, 0)}
    images = model.detector.seen[0]
    assert images.shape == (2, 3, 64, 64)
    assert images[0, :, 0, 0].tolist() == [2, -4, -4.5]
    assert images[0, :, 50, 0].tolist() == [0, 0, 0]
    if version == 2:
        _, metas, boxes, classes, their_masks = model.detector.seen
        assert metas[1]["img_shape"] == (60, 30, 3)
        assert metas[1]["ori_shape"] == (120, 90, 3)
        assert metas[1]["pad_shape"] == (64, 64, 3)
        np.testing.assert_allclose(metas[1]["scale_factor"], [1 / 3, 1 / 2] * 2)
        assert (their_masks is None) == (masks is None)
        mask = their_masks[0] if masks else None
    else:
        samples = model.detector.seen[1]
        assert samples[1].metainfo["img_shape"] == (60, 30)
        assert samples[1].metainfo["batch_input_shape"] == (64, 64)
        assert samples[1].metainfo["scale_factor"] == (1 / 3, 1 / 2)
        boxes = [sample.gt_instances.bboxes for sample in samples]
        classes = [sample.gt_instances.labels for sample in samples]
        assert ("masks" in samples[0].gt_instances) == (masks is not None)
        mask = samples[0].gt_instances.masks if masks else None
    assert boxes[0].tolist() == [[1, 2, 9, 9]]
    assert classes[1].tolist() == [2]
    if masks:
        assert type(mask) is (BitmapMasks if masks == "bits" else TheirPolygons)
        assert (mask.height, mask.width, len(mask.masks)) == (40, 50, 1)


@pytest.mark.parametrize("masks", [False, True])
def test_inference(version, masks):
    model = MMDetDetector(detector_of(version, masks=masks), **CONSTANTS, init_weights=False).eval()
    assert model.detector.initialised == 0
    with torch.no_grad():
        first, second = (output["instances"] for output in model(inputs()))
    assert first.image_size == (80, 150)
    assert second.pred_boxes.tensor[0].tolist() == [1, 2, 5, 6]
    assert float(first.scores[0]) == pytest.approx(0.9)
    assert set(first.pred_classes.tolist()) == {1}
    assert first.has("pred_masks") == masks
    if masks:
        assert first.pred_masks.shape == (len(first), 80, 150)
        assert first.pred_masks.dtype == torch.bool
    assert model.detector.seen[2] is True
    without = [{"image": x["image"]} for x in inputs()]
    assert model(without)[1]["instances"].image_size == (60, 30)
    assert model.detector.seen[2] is False
    with pytest.raises(ValueError, match="some inputs have 'height'"):
        model([without[0], inputs()[1]])


def test_a_dict_is_built_by_mmdetection(monkeypatch):
    for version in (2, 3):
        built = install(monkeypatch, version)
        model = MMDetDetector(
            {"type": "MaskRCNN", "inner": {"a": [1, (2,)]}}, **CONSTANTS, input_format="RGB"
        )
        assert built == [{"type": "MaskRCNN", "inner": {"a": [1, (2,)]}}]
        assert (model.device.type, model.input_format) == ("cpu", "RGB")
    monkeypatch.setitem(sys.modules, "mmdet", None)
    monkeypatch.delitem(sys.modules, "mmdet.models")
    with pytest.raises(ImportError, match="install mmcv and mmdet"):
        MMDetDetector({"type": "MaskRCNN"}, **CONSTANTS)


def test_what_is_no_detector_is_refused():
    with pytest.raises(TypeError, match="Linear is no detector of mmdetection: it lacks loss and predict"):
        MMDetDetector(nn.Linear(1, 1), **CONSTANTS)
    with pytest.raises(ValueError, match="3 numbers in pixel_mean and 1 in pixel_std"):
        MMDetDetector(Version2(), pixel_mean=[1, 2, 3], pixel_std=[1])
