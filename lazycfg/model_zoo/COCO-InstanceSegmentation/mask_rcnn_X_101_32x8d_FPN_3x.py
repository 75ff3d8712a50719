"""Mask R-CNN, ResNeXt-101-32x8d-FPN, 3x schedule (the reference published box AP 44.3, mask AP 39.5)."""

from .mask_rcnn_R_50_FPN_3x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.update(depth=101, num_groups=32, width_per_group=8, stride_in_1x1=False)
model.pixel_std = [57.375, 57.120, 58.395]
train.init_checkpoint = "detectron2://ImageNetPretrained/FAIR/X-101-32x8d.pkl"
