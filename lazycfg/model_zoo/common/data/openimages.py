"""OpenImages, boxes: as `coco.py`, read from its tables.

They are looked for in `$DETECTRON2_DATASETS/openimages` (`datasets` when unset):
`train-annotations-bbox.csv`, `validation-annotations-bbox.csv`, `class-descriptions-boxable.csv`, and the
folders `train` and `validation`. Scores are COCO's: regions of groups ("IsGroupOf") are crowds. For those of
the challenges see `lazycfg.evaluation.OpenImagesEvaluator`, which reads further files.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.data import BoxCSVDataset

from .coco import dataloader

_root = "${oc.env:DETECTRON2_DATASETS,datasets}/openimages"


def _boxes(split: str) -> Any:
    return L(BoxCSVDataset)(
        name=f"openimages_{split}",
        csv_file=f"{_root}/{split}-annotations-bbox.csv",
        image_root=f"{_root}/{split}",
        class_names=f"{_root}/class-descriptions-boxable.csv",
        on_error="skip",
    )


dataloader.train.dataset.dataset = _boxes("train")
dataloader.train.mapper.use_instance_mask = False
dataloader.test.dataset = _boxes("validation")
