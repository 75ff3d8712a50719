"""Mask R-CNN, ViT-L pretrained by MAE, 100 COCO epochs (the reference: box AP 55.5, mask AP 49.2)."""

from .mask_rcnn_vitdet_b_100ep import dataloader, lr_multiplier, model, optimizer, train

model.backbone.net.update(
    embed_dim=1024,
    depth=24,
    num_heads=16,
    drop_path_rate=0.4,
    # 5, 11, 17 and 23 attend globally
    window_block_indexes=[i for i in range(24) if i not in (5, 11, 17, 23)],
)
optimizer.params.lr_factor_func.keywords.update(num_layers=24, lr_decay_rate=0.8)
train.init_checkpoint = "detectron2://ImageNetPretrained/MAE/mae_pretrain_vit_large.pth"
