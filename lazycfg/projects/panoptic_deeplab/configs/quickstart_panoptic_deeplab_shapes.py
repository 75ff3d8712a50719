"""Quickstart: a small Panoptic-DeepLab on generated images of shapes.  A CPU, some minutes, no download.

    python tools/train_net.py \
        --config-file projects/panoptic_deeplab/configs/quickstart_panoptic_deeplab_shapes.py
"""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import transforms as T
from lazycfg.evaluation import COCOEvaluator, COCOPanopticEvaluator
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.common.data.shapes import dataloader
from lazycfg.model_zoo.common.schedules import warmup_poly
from lazycfg.modeling import BasicBlock, ResNet

from .common.panoptic_deeplab import model
from .common.recipe import optimizer, train
from .common.targets import panoptic_mapper

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
model.backbone.out_features = ["res2", "res3", "res4"]
model.sem_seg_head.update(
    input_shape=dict(
        res2=ShapeSpec(channels=32, stride=4),
        res3=ShapeSpec(channels=64, stride=8),
        res4=ShapeSpec(channels=128, stride=16),
    ),
    project_channels=[16, 32],
    decoder_channels=[64, 64, 64],
    head_channels=64,
    aspp_dilations=[1, 2, 3],
    norm="BN",
    train_size=None,
    num_classes=3,  # two shapes and the ground
    loss_top_k=1.0,  # mining hard pixels is for long trainings of pretrained weights
)
model.ins_embed_head.update(decoder_channels=[32, 32, 64], norm="BN")
model.update(thing_ids=[0, 1], stuff_area=64)

for _split in (dataloader.train, dataloader.test):
    _split.dataset.update(
        image_size=64,
        classes=("circle", "star"),
        num_objects=(1, 2),
        radius=(0.2, 0.35),
        label_maps="joint",
    )
dataloader.train.mapper = panoptic_mapper((64,), max_size=64, crop=(64, 64), sigma=4)
dataloader.train.mapper.augmentations = [L(T.RandomFlip)()]
dataloader.train.mapper.panoptic_target_generator.small_instance_area = 256
dataloader.evaluator = [
    L(evaluator)(dataset=ref("...test.dataset")) for evaluator in (COCOPanopticEvaluator, COCOEvaluator)
]

optimizer.lr = 5e-3
lr_multiplier = warmup_poly(warmup_length=0.1)
train.update(
    output_dir="./output/quickstart_panoptic_deeplab", init_checkpoint="", max_iter=900, eval_period=0
)
