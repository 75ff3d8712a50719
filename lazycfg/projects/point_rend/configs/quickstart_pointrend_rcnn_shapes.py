"""PointRend on generated images of shapes: the quickstart with another mask head.  A CPU, some minutes.

python tools/train_net.py --config-file projects/point_rend/configs/quickstart_pointrend_rcnn_shapes.py
"""

from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.quickstart.mask_rcnn_shapes import dataloader, lr_multiplier, model, optimizer, train

from .common.pointrend_rcnn_fpn import model as _pointrend

model.roi_heads.update(mask_pooler=None, mask_head=_pointrend.roi_heads.mask_head.copy())

# A pyramid of 64 channels, and images of 128 pixels: masks of 112 are fine enough.
head = model.roi_heads.mask_head
head.input_shape = {"p2": ShapeSpec(channels=64, stride=4)}
head.coarse_head.update(
    input_shape=ShapeSpec(channels=64, height=14, width=14), conv_dim=64, fc_dims=[256, 256]
)
head.point_head.update(input_shape=ShapeSpec(channels=64), fc_dims=[64, 64, 64])
head.update(mask_point_train_num_points=100, mask_point_subdivision_steps=4)
del head

train.update(output_dir="./output/quickstart_pointrend", max_iter=600)
