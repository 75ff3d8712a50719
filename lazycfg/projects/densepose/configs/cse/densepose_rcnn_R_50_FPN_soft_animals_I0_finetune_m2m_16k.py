"""Surface embeddings of nine kinds of animals and of people, with cycles between their meshes.

The reference published box AP 54.1, segm 67.3, GPS 28.6, GPSm 38.4; mesh alignment: GE 12.5, GPS 87.6.
"""

from lazycfg import LazyCall as L
from lazycfg.projects.densepose import ShapeToShapeCycleLoss

from ..common.cse_animals import use_animal_meshes
from ..common.densepose_cse_fpn import use_soft_loss
from .densepose_rcnn_R_50_FPN_soft_animals_I0_finetune_16k import (
    dataloader,
    lr_multiplier,
    model,
    optimizer,
    train,
)

use_animal_meshes(model, "ds2", ["smpl_27554"])
use_soft_loss(model, sigma=0.1)
model.roi_heads.densepose_losses.shape2shape_loss = L(ShapeToShapeCycleLoss)(
    meshes=model.roi_heads.densepose_losses.embed_loss.meshes,
    norm_p=2,
    temperature=0.05,
    max_num_vertices=4936,
)
train.init_ignore = ["roi_heads.embedder.embedder_smpl_27554.*"]
