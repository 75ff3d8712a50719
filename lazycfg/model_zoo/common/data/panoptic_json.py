"""Your own data in COCO's formats, instances and panoptic: one file of each, and the folder of the PNG files.

    data.train_json=instances_train.json data.train_panoptic_json=panoptic_train.json \\
        data.train_panoptic_root=panoptic_train data.train_images=images/train

and the same with `test`. The classes are what the training's files have.
"""

from typing import Any

from lazycfg import REQUIRED, ref
from lazycfg import LazyCall as L
from lazycfg.data import CocoPanopticDataset
from lazycfg.evaluation import COCOEvaluator, COCOPanopticEvaluator, SemSegEvaluator

from .coco_json import data, dataloader

data.train_panoptic_json = REQUIRED  # The panoptic annotations to train on, in COCO's JSON format.
data.train_panoptic_root = REQUIRED  # The folder of the PNG files that train_panoptic_json names.
data.test_panoptic_json = REQUIRED  # The panoptic annotations to test on, in COCO's JSON format.
data.test_panoptic_root = REQUIRED  # The folder of the PNG files that test_panoptic_json names.

for _split in ("train", "test"):
    data[f"{_split}_images"] = REQUIRED
    _part = dataloader[_split]
    _part.dataset = L(CocoPanopticDataset)(
        panoptic_json=f"${{data.{_split}_panoptic_json}}",
        panoptic_root=f"${{data.{_split}_panoptic_root}}",
        image_root=f"${{data.{_split}_images}}",
        instances=_part.dataset.get("dataset", _part.dataset),
    )

dataloader.evaluator = [
    L(evaluator)(dataset=ref("...test.dataset"))
    for evaluator in (COCOEvaluator, SemSegEvaluator, COCOPanopticEvaluator)
]
