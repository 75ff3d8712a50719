"""Your own data: pictures annotated in COCO's JSON format, one file for training and one for testing.

    data.train_json=annotations/train.json data.test_json=annotations/val.json

The pictures are looked for beside the annotation files (lazycfg.data.datasets.candidate_roots lists where);
else say `data.train_images=folder data.test_images=folder`. The number of classes is what the training file
has:

    model.roi_heads.num_classes = L.attr(dataloader.train.dataset, "num_classes")
"""

from lazycfg import REQUIRED
from lazycfg import LazyCall as L
from lazycfg.data import (
    CocoDataset,
    DatasetMapper,
    FilteredDataset,
    build_detection_test_loader,
    build_detection_train_loader,
)
from lazycfg.data import transforms as T
from lazycfg.evaluation import COCOEvaluator

data = dict(train_json=REQUIRED, test_json=REQUIRED, train_images=None, test_images=None)

_test_set = L(CocoDataset)(json_file="${data.test_json}", image_root="${data.test_images}")

dataloader = dict(
    train=L(build_detection_train_loader)(
        dataset=L(FilteredDataset)(
            dataset=L(CocoDataset)(json_file="${data.train_json}", image_root="${data.train_images}")
        ),
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
        total_batch_size=2,
        num_workers=2,
    ),
    test=L(build_detection_test_loader)(
        dataset=_test_set,
        mapper=L(DatasetMapper)(
            is_train=False,
            augmentations=[L(T.ResizeShortestEdge)(short_edge_length=800, max_size=1333)],
            image_format="BGR",
        ),
        num_workers=2,
    ),
    evaluator=L(COCOEvaluator)(dataset=_test_set),
)
