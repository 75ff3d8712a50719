"""PointRend for pixels, ResNet-101-FPN, Cityscapes (the reference published mIoU 78.9)."""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.model_zoo.common.data.cityscapes_sem_seg import dataloader
from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.train import train
from lazycfg.projects.point_rend import ColorAugSSDTransform
from lazycfg.solver import MultiStepParamScheduler, WarmupParamScheduler

from ..common.pointrend_semantic_fpn import model

model.backbone.bottom_up.stages.depth = 101
model.backbone.bottom_up.freeze_at = 0
model.sem_seg_head.coarse_sem_seg_head.num_classes = 19
model.sem_seg_head.train_num_points = 2048

dataloader.train.total_batch_size = 32
dataloader.train.mapper.image_format = "BGR"
_resize, _crop, _flip = dataloader.train.mapper.augmentations
_resize.update(short_edge_length=(512, 768, 1024, 1280, 1536, 1792, 2048), max_size=4096)
_crop.update(crop_type="absolute", crop_size=(512, 1024), single_category_max_area=0.75, ignored_category=255)
_color = L(ColorAugSSDTransform)(img_format=ref("...image_format"))
dataloader.train.mapper.augmentations = [_resize, _crop, _color, _flip]

optimizer.lr = 0.01
lr_multiplier = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)([1.0, 0.1, 0.01], milestones=[40000, 55000], num_updates=65000),
    warmup_factor=0.001,
    warmup_length=1000 / 65000,
    warmup_method="linear",
)
train.update(max_iter=65000, init_checkpoint="detectron2://ImageNetPretrained/MSRA/R-101.pkl")
