"""A Mask R-CNN small enough to learn shapes in seconds: the zoo's model and data with less of everything."""

from lazycfg import LazyCall as L
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.common.data.shapes import dataloader
from lazycfg.model_zoo.common.models.mask_rcnn_fpn import model
from lazycfg.model_zoo.common.optim import AdamW as optimizer
from lazycfg.model_zoo.common.schedules import warmup_cosine
from lazycfg.model_zoo.common.train import train
from lazycfg.modeling.backbone import BasicBlock, ResNet
from lazycfg.solver import ClipGradNorm

model.backbone.bottom_up.stem.update(out_channels=16, norm="BN")
model.backbone.bottom_up.stages = [
    L(ResNet.make_stage)(
        block_class=BasicBlock, num_blocks=1, stride=stride, in_channels=before, out_channels=after, norm="BN"
    )
    for stride, before, after in ((1, 16, 16), (2, 16, 32), (2, 32, 64), (2, 64, 96))
]
model.backbone.out_channels = 32
model.proposal_generator.head.in_channels = 32
model.proposal_generator.anchor_generator.sizes = [[12], [24], [48], [96], [192]]
model.proposal_generator.update(batch_size_per_image=64, pre_nms_topk=(200, 100), post_nms_topk=(100, 50))
model.roi_heads.update(num_classes=2, batch_size_per_image=32)
model.roi_heads.box_head.update(input_shape=ShapeSpec(channels=32, height=7, width=7), fc_dims=[64])
model.roi_heads.box_predictor.input_shape = ShapeSpec(channels=64)
model.roi_heads.mask_head.update(input_shape=ShapeSpec(channels=32, height=14, width=14), conv_dims=[32, 32])
model.pixel_std = [57.0, 57.0, 57.0]

for part, count in (("train", 64), ("test", 12)):
    dataloader[part].dataset.update(
        num_images=count, image_size=64, classes=("circle", "square"), num_objects=(1, 2), radius=(0.2, 0.35)
    )
dataloader.test.batch_size = 4

optimizer.update(lr=2e-3, weight_decay=1e-4)
lr_multiplier = warmup_cosine(warmup_length=0.1)
train.update(device="cpu", max_iter=100, eval_period=0, log_period=10, pictures=2)
train.clip_grad = L(ClipGradNorm)(max_norm=5.0)
