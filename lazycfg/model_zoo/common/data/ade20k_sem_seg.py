"""ADE20K, one of 150 classes for every pixel, in crops of 512x512.

The files are looked for in `$DETECTRON2_DATASETS/ADEChallengeData2016` (`datasets` when unset), as in the
archive: `images/training`, `annotations/training`, ... `annotations_detectron2` is taken where it is there.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import (
    ADE20KSemSeg,
    DatasetMapper,
    build_detection_test_loader,
    build_detection_train_loader,
)
from lazycfg.data import transforms as T
from lazycfg.evaluation import SemSegEvaluator

_root = "${oc.env:DETECTRON2_DATASETS,datasets}/ADEChallengeData2016"

dataloader: Any = dict(
    train=L(build_detection_train_loader)(
        dataset=L(ADE20KSemSeg)(root=_root, split="train"),
        mapper=L(DatasetMapper)(
            is_train=True,
            augmentations=[
                L(T.ResizeShortestEdge)(
                    short_edge_length=tuple(int(0.1 * step * 512) for step in range(5, 21)),
                    sample_style="choice",
                    max_size=2048,
                ),
                L(T.RandomCrop_CategoryAreaConstraint)(
                    crop_type="absolute",
                    crop_size=(512, 512),
                    single_category_max_area=1.0,
                    ignored_category=255,
                ),
                L(T.RandomFlip)(),
            ],
            image_format="RGB",
        ),
        total_batch_size=16,
        num_workers=4,
        seed=ref("oc.select:train.seed,0"),  # the data may be loaded without a `train`
    ),
    test=L(build_detection_test_loader)(
        dataset=L(ADE20KSemSeg)(root=_root, split="val"),
        mapper=L(DatasetMapper)(
            is_train=False,
            augmentations=[L(T.ResizeShortestEdge)(short_edge_length=512, max_size=2048)],
            image_format=ref("...train.mapper.image_format"),
        ),
        num_workers=4,
    ),
    evaluator=L(SemSegEvaluator)(dataset=ref("..test.dataset")),
)
