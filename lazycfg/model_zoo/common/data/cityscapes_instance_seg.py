"""Cityscapes (fine annotations), boxes and masks of 8 classes of things.

The files are looked for in `$DETECTRON2_DATASETS/cityscapes` (`datasets/cityscapes` when unset), laid out as
Cityscapes' own archives: `leftImg8bit/train`, `gtFine/train`, ...
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import (
    CityscapesInstances,
    DatasetMapper,
    build_detection_test_loader,
    build_detection_train_loader,
)
from lazycfg.data import transforms as T
from lazycfg.evaluation import CityscapesInstanceEvaluator

_cityscapes = "${oc.env:DETECTRON2_DATASETS,datasets}/cityscapes"


def _instances(split):
    return L(CityscapesInstances)(
        name=f"cityscapes_fine_instance_seg_{split}",
        image_dir=f"{_cityscapes}/leftImg8bit/{split}",
        gt_dir=f"{_cityscapes}/gtFine/{split}",
    )


dataloader: Any = dict(
    train=L(build_detection_train_loader)(
        dataset=_instances("train"),  # the few images without objects are of use, too
        mapper=L(DatasetMapper)(
            is_train=True,
            augmentations=[
                L(T.ResizeShortestEdge)(
                    short_edge_length=(800, 832, 864, 896, 928, 960, 992, 1024),
                    sample_style="choice",
                    max_size=2048,
                ),
                L(T.RandomFlip)(),
            ],
            image_format="BGR",
            use_instance_mask=True,
        ),
        total_batch_size=8,
        num_workers=8,
        seed=ref("oc.select:train.seed,0"),  # the data may be loaded without a `train`
    ),
    test=L(build_detection_test_loader)(
        dataset=_instances("val"),
        mapper=L(DatasetMapper)(
            is_train=False,
            augmentations=[L(T.ResizeShortestEdge)(short_edge_length=1024, max_size=2048)],
            image_format=ref("...train.mapper.image_format"),
        ),
        num_workers=8,
    ),
    evaluator=L(CityscapesInstanceEvaluator)(dataset=ref("..test.dataset")),
)
