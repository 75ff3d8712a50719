"""Generated pictures of shapes: nothing to download, no two training pictures alike."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import (
    DatasetMapper,
    ShapesDataset,
    build_detection_test_loader,
    build_detection_train_loader,
)
from lazycfg.data import transforms as T
from lazycfg.evaluation import COCOEvaluator

dataloader: Any = dict(
    train=L(build_detection_train_loader)(
        dataset=L(ShapesDataset)(num_images=100_000, image_size=128, seed=1, name="shapes_train"),
        mapper=L(DatasetMapper)(
            is_train=True,
            augmentations=[L(T.RandomFlip)()],
            image_format="BGR",
            use_instance_mask=True,
            instance_mask_format="bitmask",
        ),
        total_batch_size=8,
        num_workers=0,
        seed=ref("oc.select:train.seed,0"),  # the data may be loaded without a `train`
    ),
    test=L(build_detection_test_loader)(
        dataset=L(ShapesDataset)(num_images=200, image_size=128, seed=2, name="shapes_test"),
        mapper=L(DatasetMapper)(is_train=False, image_format=ref("...train.mapper.image_format")),
        batch_size=8,
        num_workers=0,
    ),
    evaluator=L(COCOEvaluator)(dataset=ref("..test.dataset")),
)
