"""Cityscapes (fine annotations), panoptic segments of 11 classes of stuff and 8 of things.

Besides the files of `cityscapes_sem_seg.py` it needs those that Cityscapes' script `createPanopticImgs`
makes: `gtFine/cityscapes_panoptic_train.json` with a folder of this name, and the same for `val`. A project
gives the mapper of the training data.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import (
    CityscapesPanoptic,
    DatasetMapper,
    build_detection_test_loader,
    build_detection_train_loader,
)
from lazycfg.data import transforms as T
from lazycfg.evaluation import (
    CityscapesInstanceEvaluator,
    CityscapesSemSegEvaluator,
    COCOPanopticEvaluator,
)

_cityscapes = "${oc.env:DETECTRON2_DATASETS,datasets}/cityscapes"


def _panoptic(split):
    return L(CityscapesPanoptic)(
        name=f"cityscapes_fine_panoptic_{split}",
        panoptic_json=f"{_cityscapes}/gtFine/cityscapes_panoptic_{split}.json",
        panoptic_root=f"{_cityscapes}/gtFine/cityscapes_panoptic_{split}",
        image_dir=f"{_cityscapes}/leftImg8bit/{split}",
        gt_dir=f"{_cityscapes}/gtFine/{split}",
        sem_seg=False,  # nothing here takes the map of labels
    )


dataloader: Any = dict(
    train=L(build_detection_train_loader)(
        dataset=_panoptic("train"),
        mapper=L(DatasetMapper)(is_train=True, image_format="RGB"),
        total_batch_size=32,
        num_workers=10,
        seed=ref("oc.select:train.seed,0"),  # the data may be loaded without a `train`
    ),
    test=L(build_detection_test_loader)(
        dataset=_panoptic("val"),
        mapper=L(DatasetMapper)(
            is_train=False,
            augmentations=[L(T.ResizeShortestEdge)(short_edge_length=1024, max_size=2048)],
            image_format=ref("...train.mapper.image_format"),
        ),
        num_workers=10,
    ),
    evaluator=[
        L(evaluator)(dataset=ref("...test.dataset"))
        for evaluator in (COCOPanopticEvaluator, CityscapesSemSegEvaluator, CityscapesInstanceEvaluator)
    ],
)
