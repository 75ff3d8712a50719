"""Panoptic-DeepLab, ResNet-52, output stride 16, COCO: 200,000 steps of 64 crops of 640x640."""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import transforms as T
from lazycfg.evaluation import COCOEvaluator, COCOPanopticEvaluator
from lazycfg.model_zoo.common.data.coco_panoptic_separated import dataloader
from lazycfg.model_zoo.common.schedules import warmup_poly

from ..common.panoptic_deeplab import model
from ..common.recipe import optimizer, train
from ..common.targets import panoptic_mapper

# 133 classes, each with a label of its own; the first 80 are things.
for _part, _split in ((dataloader.train, "train"), (dataloader.test, "val")):
    _part.dataset.update(name=f"coco_2017_{_split}_panoptic", separated=False, sem_seg=False)
dataloader.train.dataset.instances = None  # only the panoptic segments are trained on
dataloader.train.mapper = panoptic_mapper(
    tuple(64 * i for i in range(5, 16)), max_size=960, crop=(640, 640), sigma=8
)
dataloader.train.update(total_batch_size=64, num_workers=10)
dataloader.test.mapper.augmentations = [L(T.ResizeShortestEdge)(short_edge_length=640, max_size=640)]
dataloader.evaluator = [
    L(evaluator)(dataset=ref("...test.dataset")) for evaluator in (COCOPanopticEvaluator, COCOEvaluator)
]

model.sem_seg_head.update(
    num_classes=133, loss_top_k=1.0, train_size=(640, 640), use_depthwise_separable_conv=True
)
model.update(thing_ids=list(range(80)), stuff_area=4096, nms_kernel=41, size_divisibility=640)

optimizer.lr = 5e-4
lr_multiplier = warmup_poly(warmup_length=1000 / 200000)
train.max_iter = 200000
