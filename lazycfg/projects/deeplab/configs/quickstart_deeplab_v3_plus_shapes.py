"""Quickstart: a small DeepLab v3+ on generated images of shapes.  A CPU, some minutes, nothing to download.

python tools/train_net.py --config-file projects/deeplab/configs/quickstart_deeplab_v3_plus_shapes.py
"""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.evaluation import SemSegEvaluator
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.common.data.shapes import dataloader
from lazycfg.model_zoo.common.optim import AdamW as optimizer
from lazycfg.model_zoo.common.schedules import warmup_poly
from lazycfg.model_zoo.common.train import train
from lazycfg.modeling import BasicBlock, ResNet

from .common.deeplab_v3_plus import model

# Trained from scratch: three stages of half the width of a ResNet-18, the last of stride 16
model.backbone.stem.update(out_channels=32, norm="BN")
model.backbone.stages = [
    L(ResNet.make_stage)(
        block_class=BasicBlock,
        num_blocks=2,
        stride_per_block=[stride, 1],
        in_channels=before,
        out_channels=after,
        norm="BN",
    )
    for stride, before, after in [(1, 32, 32), (2, 32, 64), (2, 64, 128)]
]
model.backbone.out_features = ["res2", "res4"]
model.sem_seg_head.update(
    input_shape=dict(res2=ShapeSpec(channels=32, stride=4), res4=ShapeSpec(channels=128, stride=16)),
    project_channels=[16],
    decoder_channels=[64, 64],
    aspp_dilations=[1, 2, 3],
    norm="BN",
    train_size=None,
    num_classes=3,  # the ground and two shapes
    loss_type="cross_entropy",  # mining hard pixels is for long trainings of pretrained weights
)

for _split in (dataloader.train, dataloader.test):
    _split.dataset.update(
        image_size=64,
        classes=("circle", "star"),
        num_objects=(1, 2),
        radius=(0.2, 0.35),
        label_maps="semantic",
    )
dataloader.train.mapper.update(image_format="RGB", use_instance_mask=False)
dataloader.evaluator = L(SemSegEvaluator)(dataset=ref("..test.dataset"))

optimizer.update(lr=5e-3, weight_decay=0.05)
lr_multiplier = warmup_poly(warmup_length=0.1)
train.update(output_dir="./output/quickstart_deeplab", max_iter=800, eval_period=0)
