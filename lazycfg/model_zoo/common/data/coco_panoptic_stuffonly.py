"""COCO 2017 for semantic segmentation of stuff: as `coco_panoptic_separated.py`, without instances."""

from lazycfg import LazyCall as L
from lazycfg.evaluation import SemSegEvaluator

from .coco_panoptic_separated import dataloader

for part, split in ((dataloader.train, "train"), (dataloader.test, "val")):
    part.dataset.update(name=f"coco_2017_{split}_panoptic_stuffonly", instances=None)
dataloader.train.mapper.use_instance_mask = False
dataloader.evaluator = L(SemSegEvaluator)(dataset="${..test.dataset}")
