"""Cascade Mask R-CNN, Swin-L pretrained on ImageNet-21k, 50 COCO epochs, a baseline of ViTDet.

See arXiv:2203.16527. The reference published box AP 55.0, mask AP 47.2.
"""

from .cascade_mask_rcnn_swin_b_in21k_50ep import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.update(embed_dim=192, num_heads=[6, 12, 24, 48])
train.init_checkpoint = "detectron2://ImageNetPretrained/swin/swin_large_patch4_window7_224_22k.pth"
