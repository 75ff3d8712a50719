"""Classification of ImageNet by torchvision's ResNet-50, 100 epochs: another task with the same training.

The images are looked for in `$DETECTRON2_DATASETS/imagenet` (`datasets/imagenet` when unset): `train` and
`val`, each with a folder for each class.
"""

from typing import Any

from torchvision.models import resnet50

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import build_detection_test_loader
from lazycfg.data import transforms as T
from lazycfg.projects.classification import (
    CenterCrop,
    ClassificationAccuracy,
    ClassificationMapper,
    ClassificationNet,
    ImageFolders,
    RandomResizedCrop,
    build_classification_train_loader,
)

from ..common.data.constants import constants
from ..common.optim import SGD as optimizer
from ..common.schedules import warmup_multi_step
from ..common.train import train

_imagenet = "${oc.env:DETECTRON2_DATASETS,datasets}/imagenet"

model: Any = L(ClassificationNet)(
    model=L(resnet50)(num_classes=1000),
    pixel_mean=constants["imagenet_rgb256_mean"],
    pixel_std=constants["imagenet_rgb256_std"],
    input_format="RGB",
)

dataloader: Any = dict(
    train=L(build_classification_train_loader)(
        dataset=L(ImageFolders)(root=f"{_imagenet}/train"),
        mapper=L(ClassificationMapper)(
            augmentations=[L(RandomResizedCrop)(size=224), L(T.RandomFlip)()],
            image_format="RGB",
        ),
        batch_size=32,  # of each process
        num_workers=4,
        seed=ref("oc.select:train.seed,0"),  # the data may be loaded without a `train`
    ),
    test=L(build_detection_test_loader)(
        dataset=L(ImageFolders)(root=f"{_imagenet}/val"),
        mapper=L(ClassificationMapper)(
            augmentations=[
                L(T.ResizeShortestEdge)(short_edge_length=256, max_size=1_000_000),
                L(CenterCrop)(size=224),
            ],
            image_format=ref("...train.mapper.image_format"),
        ),
        batch_size=32,
        num_workers=4,
    ),
    evaluator=L(ClassificationAccuracy)(dataset=ref("..test.dataset")),
)

# For a batch of 256 over all processes
optimizer.lr = 0.1
optimizer.params.weight_decay_norm = None
lr_multiplier: Any = warmup_multi_step((0.3, 0.6, 0.9), warmup_length=0.01, warmup_factor=0.1)
lr_multiplier.scheduler.update(milestones=[150136, 300273, 450409], num_updates=500455)  # 30, 60, 90 epochs
train.max_iter = 500455  # 100 epochs of 1,281,167 images by 256
del constants
