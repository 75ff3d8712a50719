"""LVIS v1, boxes and masks.

The annotations are looked for in `$DETECTRON2_DATASETS/lvis` (`datasets/lvis` when unset), the images, those
of COCO 2017, in `$DETECTRON2_DATASETS/coco`: `train2017/`, `val2017/`.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import FilteredDataset, LVISDataset, RepeatFactorTrainingSampler
from lazycfg.evaluation import LVISEvaluator

from .coco import dataloader

_datasets = "${oc.env:DETECTRON2_DATASETS,datasets}"

_train_set: Any = L(LVISDataset)(
    name="lvis_v1_train",
    json_file=f"{_datasets}/lvis/lvis_v1_train.json",
    image_root=f"{_datasets}/coco",
    on_error="skip",
)

dataloader.train.update(
    dataset=L(FilteredDataset)(dataset=_train_set),
    # Images with classes that fewer than one image in a thousand has come more often.
    sampler=L(RepeatFactorTrainingSampler)(
        repeat_factors=L(RepeatFactorTrainingSampler.repeat_factors_from_category_frequency)(
            dataset=ref("...dataset"), repeat_thresh=0.001
        ),
        seed=ref("..seed"),
    ),
)
dataloader.test.dataset = L(LVISDataset)(
    name="lvis_v1_val",
    json_file=f"{_datasets}/lvis/lvis_v1_val.json",
    image_root=f"{_datasets}/coco",
)
dataloader.evaluator = L(LVISEvaluator)(dataset=ref("..test.dataset"), max_dets_per_image=300)
