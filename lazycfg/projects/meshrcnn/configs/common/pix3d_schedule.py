"""11,000 steps of 16 images, beginning with the weights of a Mask R-CNN trained on COCO."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.train import train
from lazycfg.solver import MultiStepParamScheduler, WarmupParamScheduler

lr_multiplier: Any = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)([1.0, 0.1, 0.01], milestones=[8000, 10000], num_updates=11000),
    warmup_factor=0.1,
    warmup_length=1000 / 11000,
    warmup_method="linear",
)
train.update(
    max_iter=11000,
    # without box_predictor and the mask predictor, whose classes are COCO's
    init_checkpoint="https://dl.fbaipublicfiles.com/meshrcnn/coco_init_0719.pth",
)
