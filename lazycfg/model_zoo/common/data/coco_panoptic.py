"""COCO 2017, panoptic: as `coco_panoptic_separated.py`, but maps tell all 133 classes apart."""

from .coco_panoptic_separated import dataloader

for part, split in ((dataloader.train, "train"), (dataloader.test, "val")):
    part.dataset.update(name=f"coco_2017_{split}_panoptic", separated=False)
