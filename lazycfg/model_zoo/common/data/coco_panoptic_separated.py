"""COCO 2017 for Panoptic FPN: boxes and masks of things, and maps in which label 0 is all things.

Besides the files of `coco.py` it needs `annotations/panoptic_train2017.json` and the folder
`panoptic_train2017` of PNG files, and the same for `val2017`; the maps are made of them as needed.
"""

from lazycfg import LazyCall as L
from lazycfg.data import CocoPanopticDataset
from lazycfg.evaluation import COCOEvaluator, COCOPanopticEvaluator, SemSegEvaluator

from .coco import dataloader

_coco = "${oc.env:DETECTRON2_DATASETS,datasets}/coco"


def _panoptic(split, instances):
    return L(CocoPanopticDataset)(
        name=f"coco_2017_{split}_panoptic_separated",
        panoptic_json=f"{_coco}/annotations/panoptic_{split}2017.json",
        panoptic_root=f"{_coco}/panoptic_{split}2017",
        image_root=f"{_coco}/{split}2017",
        instances=instances,
    )


# Pictures without instances are of use, too.
dataloader.train.dataset = _panoptic("train", dataloader.train.dataset.dataset)
dataloader.test.dataset = _panoptic("val", dataloader.test.dataset)
dataloader.evaluator = [
    L(evaluator)(dataset="${...test.dataset}")
    for evaluator in (COCOEvaluator, SemSegEvaluator, COCOPanopticEvaluator)
]
