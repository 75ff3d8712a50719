"""COCO 2017, boxes and masks.

The files are looked for in `$DETECTRON2_DATASETS/coco` (`datasets/coco` when unset), laid out as COCO's own
archives: `annotations/instances_train2017.json`, `train2017/`, ...
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import (
    CocoDataset,
    DatasetMapper,
    FilteredDataset,
    build_detection_test_loader,
    build_detection_train_loader,
)
from lazycfg.data import transforms as T
from lazycfg.evaluation import COCOEvaluator

_coco = "${oc.env:DETECTRON2_DATASETS,datasets}/coco"

_train_set: Any = L(CocoDataset)(
    name="coco_2017_train",
    json_file=f"{_coco}/annotations/instances_train2017.json",
    image_root=f"{_coco}/train2017",
    on_error="skip",  # some boxes of the official file have no area
)

dataloader: Any = dict(
    train=L(build_detection_train_loader)(
        dataset=L(FilteredDataset)(dataset=_train_set),
        mapper=L(DatasetMapper)(
            is_train=True,
            augmentations=[
                L(T.ResizeShortestEdge)(
                    short_edge_length=(640, 672, 704, 736, 768, 800), sample_style="choice", max_size=1333
                ),
                L(T.RandomFlip)(),
            ],
            image_format="BGR",
            use_instance_mask=True,
        ),
        total_batch_size=16,
        num_workers=4,
        seed=ref("oc.select:train.seed,0"),  # the data may be loaded without a `train`
    ),
    test=L(build_detection_test_loader)(
        dataset=L(CocoDataset)(
            name="coco_2017_val",
            json_file=f"{_coco}/annotations/instances_val2017.json",
            image_root=f"{_coco}/val2017",
        ),
        mapper=L(DatasetMapper)(
            is_train=False,
            augmentations=[L(T.ResizeShortestEdge)(short_edge_length=800, max_size=1333)],
            image_format=ref("...train.mapper.image_format"),
        ),
        num_workers=4,
    ),
    evaluator=L(COCOEvaluator)(dataset=ref("..test.dataset")),
)
