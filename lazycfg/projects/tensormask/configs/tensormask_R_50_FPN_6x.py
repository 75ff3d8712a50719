"""TensorMask, ResNet-50-FPN, 6x schedule (the reference published box AP 41.4, mask AP 35.8)."""

from lazycfg.model_zoo.common.schedules import lr_multiplier_6x as lr_multiplier

from .tensormask_R_50_FPN_1x import dataloader, model, optimizer, train

dataloader.train.mapper.augmentations[0].update(short_edge_length=(640, 800), sample_style="range")
train.max_iter = 540000
