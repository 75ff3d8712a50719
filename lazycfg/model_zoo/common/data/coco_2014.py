"""COCO 2014, boxes and masks: as `coco.py`, other files.

Trained on train2014 and valminusminival2014, tested on minival2014, whose annotation files were made of
COCO's. All images but those of train2014 are in `val2014`.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.data import CocoDataset, ConcatDataset

from .coco import dataloader

_coco = "${oc.env:DETECTRON2_DATASETS,datasets}/coco"


def coco_2014(split: str, kind: str = "instances") -> Any:
    """Return train, val, minival or valminusminival of 2014; `kind` is how its file is called."""
    return L(CocoDataset)(
        name=f"{'keypoints_' if kind != 'instances' else ''}coco_2014_{split}",
        json_file=f"{_coco}/annotations/{kind}_{split}2014.json",
        image_root=f"{_coco}/{'train' if split == 'train' else 'val'}2014",
        on_error="raise" if split == "minival" else "skip",  # some boxes of the official files have no area
    )


dataloader.train.dataset.dataset = L(ConcatDataset)(
    datasets=[coco_2014("train"), coco_2014("valminusminival")]
)
dataloader.test.dataset = coco_2014("minival")
