"""Mask R-CNN, ViT-H pretrained by MAE, 75 COCO epochs (the reference: box AP 56.7, mask AP 50.2)."""

from .mask_rcnn_vitdet_b_100ep import dataloader, lr_multiplier, model, optimizer, train

model.backbone.net.update(
    embed_dim=1280,
    depth=32,
    num_heads=16,
    drop_path_rate=0.5,
    # 7, 15, 23 and 31 attend globally
    window_block_indexes=[i for i in range(32) if i not in (7, 15, 23, 31)],
)
optimizer.params.lr_factor_func.keywords.update(num_layers=32, lr_decay_rate=0.9)
# As published: everything decays, normalisation and position embeddings too.
optimizer.params.update(overrides={}, weight_decay_norm=None)
train.max_iter = 138281  # 75 epochs; the schedule of the learning rate stretches with it
train.init_checkpoint = "detectron2://ImageNetPretrained/MAE/mae_pretrain_vit_huge_p14to16.pth"
