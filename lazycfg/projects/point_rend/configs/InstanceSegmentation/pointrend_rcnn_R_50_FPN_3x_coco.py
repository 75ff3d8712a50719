"""PointRend, ResNet-50-FPN, 3x schedule (the reference published mask AP 38.3)."""

from lazycfg.model_zoo.common.schedules import lr_multiplier_3x as lr_multiplier

from .pointrend_rcnn_R_50_FPN_1x_coco import dataloader, model, optimizer, train

train.max_iter = 270000
