"""Surface embeddings of nine kinds of animals, with cycles between pixels and meshes.

The reference published box AP 54.0, segm 66.6, GPS 28.9, GPSm 38.3; mesh alignment: GE 11.0, GPS 88.9.
"""

from lazycfg import LazyCall as L
from lazycfg.projects.densepose import PixToShapeCycleLoss

from .densepose_rcnn_R_50_FPN_soft_animals_I0_finetune_16k import (
    dataloader,
    lr_multiplier,
    model,
    optimizer,
    train,
)

model.roi_heads.densepose_losses.pix2shape_loss = L(PixToShapeCycleLoss)(
    norm_p=2,
    use_all_meshes_not_gt_only=True,
    num_pixels_to_sample=100,
    temperature_pix_to_vertex=0.05,
    temperature_vertex_to_pix=0.05,
)
