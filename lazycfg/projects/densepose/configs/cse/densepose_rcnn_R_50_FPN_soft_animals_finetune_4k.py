"""Surface embeddings of nine kinds of animals, beginning with those of people.

The reference published box AP 44.9, segm 55.5, GPS 21.3, GPSm 28.8.
"""

from ..common.cse_animals import use_animal_meshes, use_animals
from ..common.densepose_cse_fpn import use_soft_loss
from ..common.schedules import multi_step
from .densepose_rcnn_R_50_FPN_s1x import dataloader, model, optimizer, train

use_animals(dataloader, "ds1")
use_animal_meshes(model, "ds1")
use_soft_loss(model, sigma=0.1)
model.roi_heads.num_classes = 9
model.roi_heads.densepose_losses.segm_loss.segm_trained_by_masks = True
lr_multiplier = multi_step([3000, 3500], 4000, warmup_factor=0.1)
train.update(
    max_iter=4000,
    init_checkpoint="DensePose/cse/densepose_rcnn_R_50_FPN_soft_s1x",
    # the meshes and the class of people
    init_ignore=["roi_heads.embedder.*", "roi_heads.box_predictor.*"],
)
