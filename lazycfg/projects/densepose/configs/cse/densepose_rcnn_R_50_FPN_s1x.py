"""Surface embeddings, ResNet-50-FPN (the reference published box AP 61.1, segm 67.1, GPS 64.4, GPSm 65.7)."""

from lazycfg import LazyCall as L
from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.train import train
from lazycfg.solver import ClipGradNormPerParameter

from ..common.cse_coco import dataloader
from ..common.densepose_cse_fpn import model
from ..common.schedules import lr_multiplier_s1x as lr_multiplier

optimizer.lr = 0.01
train.update(
    max_iter=130000,
    init_checkpoint="detectron2://ImageNetPretrained/MSRA/R-50.pkl",
    clip_grad=L(ClipGradNormPerParameter)(max_norm=1.0),
)
