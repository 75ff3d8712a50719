"""A Faster R-CNN on a backbone of one convolution, on generated pictures of shapes."""

from lazycfg import LazyCall as L
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.quickstart.mask_rcnn_shapes import dataloader, lr_multiplier, model, optimizer, train
from lazycfg.projects.write_models import ToyBackbone

model.backbone = L(ToyBackbone)(out_channels=64, stride=8)

# One feature map in place of a pyramid: all sizes of anchors on it, and all regions pooled from it.
rpn = model.proposal_generator
rpn.in_features = ["conv1"]
rpn.head.update(in_channels=64, num_anchors=9)
rpn.anchor_generator.update(sizes=[[24, 40, 64]], strides=[8])

heads = model.roi_heads
heads.box_in_features = ["conv1"]
heads.box_pooler.scales = (1 / 8,)
heads.box_head.input_shape = ShapeSpec(channels=64, height=7, width=7)
heads.mask_head = None
del rpn, heads

dataloader.train.mapper.use_instance_mask = False
train.output_dir = "./output/toy_faster_rcnn"
