"""Cityscapes (fine annotations), one of 19 classes for every pixel, in crops of 512x1024.

The files are looked for in `$DETECTRON2_DATASETS/cityscapes` (`datasets/cityscapes` when unset), laid out as
Cityscapes' own archives: `leftImg8bit/train`, `gtFine/train`, ...
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import (
    CityscapesSemSeg,
    DatasetMapper,
    build_detection_test_loader,
    build_detection_train_loader,
)
from lazycfg.data import transforms as T
from lazycfg.evaluation import CityscapesSemSegEvaluator

_cityscapes = "${oc.env:DETECTRON2_DATASETS,datasets}/cityscapes"


def _sem_seg(split):
    return L(CityscapesSemSeg)(
        name=f"cityscapes_fine_sem_seg_{split}",
        image_dir=f"{_cityscapes}/leftImg8bit/{split}",
        gt_dir=f"{_cityscapes}/gtFine/{split}",
    )


dataloader: Any = dict(
    train=L(build_detection_train_loader)(
        dataset=_sem_seg("train"),
        mapper=L(DatasetMapper)(
            is_train=True,
            augmentations=[
                L(T.ResizeShortestEdge)(
                    short_edge_length=(512, 768, 1024, 1280, 1536, 1792, 2048),
                    sample_style="choice",
                    max_size=4096,
                ),
                L(T.RandomCrop_CategoryAreaConstraint)(
                    crop_type="absolute",
                    crop_size=(512, 1024),
                    single_category_max_area=1.0,
                    ignored_category=255,
                ),
                L(T.RandomFlip)(),
            ],
            image_format="RGB",
        ),
        total_batch_size=16,
        num_workers=10,
        seed=ref("oc.select:train.seed,0"),  # the data may be loaded without a `train`
    ),
    test=L(build_detection_test_loader)(
        dataset=_sem_seg("val"),
        mapper=L(DatasetMapper)(
            is_train=False,
            augmentations=[L(T.ResizeShortestEdge)(short_edge_length=1024, max_size=2048)],
            image_format=ref("...train.mapper.image_format"),
        ),
        num_workers=10,
    ),
    evaluator=L(CityscapesSemSegEvaluator)(dataset=ref("..test.dataset")),
)
