"""Quickstart: the zoo's Mask R-CNN on generated images of shapes, with batch normalisation in its heads.

    python tools/train_net.py --config-file projects/rethinking_batchnorm/configs/quickstart_BNhead_shapes.py

A CPU, some minutes, nothing to download.
"""

from lazycfg.model_zoo.quickstart.mask_rcnn_shapes import dataloader, lr_multiplier, model, optimizer, train

model.roi_heads.box_head.update(conv_dims=[64, 64], fc_dims=[256], conv_norm="BN")
model.roi_heads.mask_head.conv_norm = "BN"

train.update(output_dir="./output/BNhead", max_iter=400)
