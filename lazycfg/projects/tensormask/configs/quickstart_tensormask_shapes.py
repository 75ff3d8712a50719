"""Quickstart: a small TensorMask on generated images of shapes.

A CPU, some minutes, nothing to download:

    python tools/train_net.py --config-file projects/tensormask/configs/quickstart_tensormask_shapes.py

The model is that of `tensormask_R_50_FPN_1x` made smaller; the backbone is the one of the zoo's quickstart.
"""

from lazycfg import LazyCall as L
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.quickstart.mask_rcnn_shapes import dataloader, lr_multiplier, optimizer, train
from lazycfg.model_zoo.quickstart.mask_rcnn_shapes import model as mask_rcnn
from lazycfg.solver import ClipGradNorm

from .tensormask_R_50_FPN_1x import model

model.backbone = mask_rcnn.backbone
model.backbone.update(top_block=None, fuse_type="avg")
del mask_rcnn

# Images of 128 pixels: no coarser levels than p5.
model.head_in_features = ["p2", "p3", "p4", "p5"]
model.anchor_generator.update(sizes=[[44, 60], [88, 120], [176, 240], [352, 480]], strides=[4, 8, 16, 32])
model.head.update(
    input_shape=[ShapeSpec(channels=64)] * 4, num_convs=2, cls_channels=64, bbox_channels=64, mask_channels=64
)
model.update(num_classes=4, test_topk_candidates=1000)

optimizer.lr = 1e-3
train.clip_grad = L(ClipGradNorm)(max_norm=10.0)
train.update(output_dir="./output/tensormask", max_iter=600)
