"""COCO 2017, tested on 100 images of val2017: as `coco.py`, for a quick look.

`lazycfg prepare coco-subset datasets/coco/annotations/instances_val2017.json` makes the file.
"""

from .coco import dataloader

_coco = "${oc.env:DETECTRON2_DATASETS,datasets}/coco"

dataloader.test.dataset.update(
    name="coco_2017_val_100", json_file=f"{_coco}/annotations/instances_val2017_100.json"
)
