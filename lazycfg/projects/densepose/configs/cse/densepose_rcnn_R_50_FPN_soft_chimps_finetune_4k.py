"""Surface embeddings of chimpanzees, beginning with those of people (soft loss).

The reference published box AP 62.0, segm 59.0, GPS 32.2, GPSm 39.6.
"""

from ..common.cse_animals import use_chimps
from ..common.densepose_cse_fpn import use_meshes, use_soft_loss
from ..common.schedules import multi_step
from .densepose_rcnn_R_50_FPN_s1x import dataloader, model, optimizer, train

use_chimps(dataloader)
use_meshes(model, ["chimp_5029"])
use_soft_loss(model, sigma=0.1)
lr_multiplier = multi_step([3000, 3500], 4000, warmup_factor=0.1)
train.update(
    max_iter=4000,
    init_checkpoint="DensePose/cse/densepose_rcnn_R_50_FPN_soft_s1x",
    init_ignore=["roi_heads.embedder.*"],  # of people
)
