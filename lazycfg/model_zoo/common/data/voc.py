"""Pascal VOC, boxes: 2007 and 2012 trainval for training, 2007 test for testing.

The files are looked for in `$DETECTRON2_DATASETS` (`datasets` when unset), laid out as VOC's own archives:
`VOC2007/Annotations`, `VOC2007/ImageSets/Main`, `VOC2007/JPEGImages`, and the same in `VOC2012`.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.data import ConcatDataset, VOCDataset
from lazycfg.evaluation import PascalVOCDetectionEvaluator

from .coco import dataloader

_datasets = "${oc.env:DETECTRON2_DATASETS,datasets}"


def _voc(year: int, split: str) -> Any:
    return L(VOCDataset)(name=f"voc_{year}_{split}", root=f"{_datasets}/VOC{year}", split=split, year=year)


dataloader.train.dataset.dataset = L(ConcatDataset)(datasets=[_voc(2007, "trainval"), _voc(2012, "trainval")])
dataloader.train.mapper.use_instance_mask = False
dataloader.train.mapper.augmentations[0].short_edge_length = tuple(range(480, 801, 32))
dataloader.test.dataset = _voc(2007, "test")
dataloader.evaluator = L(PascalVOCDetectionEvaluator)(dataset="${..test.dataset}")
