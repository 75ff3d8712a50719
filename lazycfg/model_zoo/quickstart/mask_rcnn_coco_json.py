"""Your own data in COCO's JSON format: fine-tune a Mask R-CNN R50-FPN from ImageNet weights, also on a CPU.

    python tools/train_net.py --config-file model_zoo/quickstart/mask_rcnn_coco_json.py \\
        data.train_json=train.json data.test_json=val.json train.init_checkpoint=R-50.pkl

The number of classes comes from the training file. What you may want to change:

    model.roi_heads.mask_head=None                                              boxes without masks
    image.size=800 image.max_size=1333                                          larger pictures
    train.max_iter=1000 dataloader.train.total_batch_size=8 optimizer.lr=0.02   a longer training
"""

import operator
from typing import Any

from lazycfg import LazyCall as L
from lazycfg.solver import ClipGradNorm

from ..common.data.coco_json import data, dataloader
from ..common.models.mask_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.schedules import warmup_cosine
from ..common.train import train

# The shorter side of the pictures in pixels, and a bound for the longer one.
image: Any = dict(size=320, max_size=640)

# The first layers of ImageNet weights stay as they are.
model.backbone.bottom_up.freeze_at = 2
model.roi_heads.num_classes = L.attr(dataloader.train.dataset, "num_classes")
model.roi_heads.box_predictor.test_score_thresh = 0.05
# A picture of this size has fewer objects than one of 800 pixels.
model.roi_heads.batch_size_per_image = 128

# Masks are read when there is a head for them.
dataloader.train.mapper.use_instance_mask = L(operator.is_not)("${model.roi_heads.mask_head}", None)

resize = dataloader.train.mapper.augmentations[0]
resize.update(short_edge_length="${image.size}", max_size="${image.max_size}")
resize = dataloader.test.mapper.augmentations[0]
resize.update(short_edge_length="${image.size}", max_size="${image.max_size}")
del resize
dataloader.train.num_workers = 0
dataloader.test.num_workers = 0

optimizer.lr = 0.01
lr_multiplier: Any = warmup_cosine(warmup_length=0.1)

train.update(
    output_dir="./output/coco_json",
    max_iter=170,
    eval_period=0,
    channels_last=True,
    clip_grad=L(ClipGradNorm)(max_norm=10.0),
)
