"""RetinaNet, ResNet-50-FPN, 3x schedule (the reference published box AP 38.7)."""

from ..common.schedules import lr_multiplier_3x as lr_multiplier
from .retinanet_R_50_FPN_1x import dataloader, model, optimizer, train

train.max_iter = 270000
