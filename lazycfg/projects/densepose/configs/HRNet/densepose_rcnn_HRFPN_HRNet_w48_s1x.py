"""DensePose, HRFPN over HRNet-W48."""

from .densepose_rcnn_HRFPN_HRNet_w32_s1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.width = 48
train.init_checkpoint = "${oc.env:LAZYCFG_WEIGHTS,weights}/HRNet/hrnet_w48.pth"
