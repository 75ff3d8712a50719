"""Your own data: folders of images, and of PNG files with the label of each pixel (0, 1, 2, ...; 255: none).

    data.train_images=images/train data.train_labels=labels/train data.test_images=images/val \\
        data.test_labels=labels/val 'data.classes=["ground", "road"]'

A map lies where its image does, but for the ending: `a/1.jpg` and `a/1.png`. The number of classes is

    model.sem_seg_head.num_classes = L.attr(dataloader.train.dataset, "num_classes")
"""

from typing import Any

from lazycfg import REQUIRED, ref
from lazycfg import LazyCall as L
from lazycfg.data import (
    DatasetMapper,
    SemSegDataset,
    build_detection_test_loader,
    build_detection_train_loader,
)
from lazycfg.evaluation import SemSegEvaluator

data: Any = dict(
    train_images=REQUIRED,  # The folder of the images to train on.
    train_labels=REQUIRED,  # The folder of their PNG files, with the label of each pixel.
    test_images=REQUIRED,  # The folder of the images to test on.
    test_labels=REQUIRED,  # The folder of their PNG files.
    classes=REQUIRED,  # The names of the classes, in the order of the labels 0, 1, 2, ...
    image_ext="jpg",  # The ending of the images' names.
)


def _folders(split: str) -> Any:
    return L(SemSegDataset)(
        image_root=f"${{data.{split}_images}}",
        sem_seg_root=f"${{data.{split}_labels}}",
        stuff_classes=ref("data.classes"),
        image_ext=ref("data.image_ext"),
    )


dataloader: Any = dict(
    train=L(build_detection_train_loader)(
        dataset=_folders("train"),
        mapper=L(DatasetMapper)(is_train=True, image_format="BGR"),
        total_batch_size=2,
        num_workers=2,
        seed=ref("oc.select:train.seed,0"),  # the data may be loaded without a `train`
    ),
    test=L(build_detection_test_loader)(
        dataset=_folders("test"),
        mapper=L(DatasetMapper)(is_train=False, image_format=ref("...train.mapper.image_format")),
        num_workers=2,
    ),
    evaluator=L(SemSegEvaluator)(dataset=ref("..test.dataset")),
)
