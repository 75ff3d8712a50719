"""TridentNet Fast, ResNet-50-C4, 3x schedule (the reference published box AP 40.6)."""

from lazycfg.model_zoo.common.schedules import lr_multiplier_3x as lr_multiplier

from .tridentnet_fast_R_50_C4_1x import dataloader, model, optimizer, train

train.max_iter = 270000
