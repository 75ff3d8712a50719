"""How both models are trained: 90,000 steps of 16 crops of Cityscapes."""

from lazycfg.model_zoo.common.data.cityscapes_sem_seg import dataloader
from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.schedules import warmup_poly
from lazycfg.model_zoo.common.train import train

optimizer.lr = 0.01
lr_multiplier = warmup_poly(warmup_length=1000 / 90000)
train.update(
    max_iter=90000,
    # ImageNet weights of a ResNet-101 with DeepLab's stem
    init_checkpoint="detectron2://DeepLab/R-103.pkl",
)
