"""How the models are trained: Adam, and a rate that decays as a power of what is left of the training."""

from typing import Any

import torch

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.model_zoo.common.schedules import warmup_poly
from lazycfg.model_zoo.common.train import train
from lazycfg.solver import get_default_optimizer_params

optimizer: Any = L(torch.optim.Adam)(
    params=L(get_default_optimizer_params)(model=ref("model")), lr=1e-3, weight_decay=0.0
)
lr_multiplier = warmup_poly(warmup_length=1000 / 90000)
train.update(
    max_iter=90000,
    # ImageNet weights of a ResNet-50 with DeepLab's stem
    init_checkpoint="detectron2://DeepLab/R-52.pkl",
)
