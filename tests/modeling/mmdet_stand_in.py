"""What `MMDetDetector` uses of mmdetection, in both versions: the same names, arguments and results."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import torch
from torch import nn


class Masks:
    def __init__(self, masks, height, width):
        self.masks, self.height, self.width = masks, height, width


class BitmapMasks(Masks):
    pass


class PolygonMasks(Masks):
    pass


class Told(SimpleNamespace):
    def __contains__(self, name):
        return hasattr(self, name)


class DetDataSample:
    def __init__(self, *, metainfo):
        self.metainfo = metainfo


class Common(nn.Module):
    def __init__(self, num_classes=3, masks=False):
        super().__init__()
        self.conv = nn.Conv2d(3, num_classes, 1)
        self.num_classes, self.masks = num_classes, masks
        self.initialised = 0
        self.seen = None

    def init_weights(self):
        self.initialised += 1

    def losses(self, images):
        loss = self.conv(images).mean()
        return {"loss_cls": loss, "loss_bbox": [loss, 2 * loss], "acc": torch.tensor([0.5])}


class Version2(Common):
    def forward_train(self, images, metas, boxes, classes, gt_masks=None):
        self.seen = images, metas, boxes, classes, gt_masks
        return self.losses(images)

    def simple_test(self, images, metas, rescale=False):
        self.seen = images, metas, rescale
        results = []
        for meta in metas:
            height, width = meta["ori_shape"][:2] if rescale else meta["img_shape"][:2]
            boxes = [np.zeros((0, 5), np.float32) for _ in range(self.num_classes)]
            boxes[1] = np.array([[1, 2, 5, 6, 0.9], [0, 0, 2, 2, 0.3]], np.float32)
            masks = [[] for _ in boxes]
            masks[1] = [np.eye(height, width, dtype=bool)] * 2
            results.append((boxes, masks) if self.masks else boxes)
        return results


class Version3(Common):
    def loss(self, images, samples):
        self.seen = images, samples
        return self.losses(images)

    def predict(self, images, samples, rescale=True):
        self.seen = images, samples, rescale
        results = []
        for sample in samples:
            told = Told(
                bboxes=torch.tensor([[1.0, 2, 5, 6]]), scores=torch.tensor([0.9]), labels=torch.tensor([1])
            )
            if self.masks:
                told.masks = torch.ones(1, *sample.metainfo["ori_shape"], dtype=torch.bool)
            results.append(SimpleNamespace(pred_instances=told))
        return results


def install(monkeypatch, version):
    """Put a package `mmdet` of a version where it is imported from; returns the configs that it built."""
    built = []

    def build(config):
        assert type(config) is Config
        assert type(config.get("inner", {})) is dict
        built.append(config)
        detector = (Version2 if version == 2 else Version3)()
        return detector.to(torch.empty(0).device)

    class Config(dict):
        pass

    contents = {
        "mmdet": {},
        "mmdet.models": {"build_detector": build} if version == 2 else {},
        "mmdet.core": {"BitmapMasks": BitmapMasks, "PolygonMasks": PolygonMasks},
        "mmdet.registry": {"MODELS": SimpleNamespace(build=build)},
        "mmdet.structures": {"DetDataSample": DetDataSample},
        "mmdet.structures.mask": {"BitmapMasks": BitmapMasks, "PolygonMasks": PolygonMasks},
        "mmcv": {"ConfigDict": Config},
        "mmengine": {},
        "mmengine.config": {"ConfigDict": Config},
        "mmengine.structures": {"InstanceData": Told},
    }
    for name, names in contents.items():
        module = ModuleType(name)
        module.__dict__.update(names)
        module.__path__ = []
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, leaf = name.rpartition(".")
        if parent:
            monkeypatch.setattr(sys.modules[parent], leaf, module, raising=False)
    return built
