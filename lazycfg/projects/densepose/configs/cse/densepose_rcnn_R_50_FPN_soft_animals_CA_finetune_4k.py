"""Surface embeddings of nine kinds of animals, which are one class for the detector.

The reference published box AP 53.4, segm 59.5, GPS 25.4, GPSm 33.4.
"""

from ..common.cse_animals import use_animals
from .densepose_rcnn_R_50_FPN_soft_animals_finetune_4k import (
    dataloader,
    lr_multiplier,
    model,
    optimizer,
    train,
)

use_animals(dataloader, "ds1", one_class=True)
model.roi_heads.num_classes = 1
# Annotations say which mesh an animal is on; where there are none, it is taken for a sheep.
model.roi_heads.embedder.class_to_mesh_name = {0: "sheep_5004"}
train.init_ignore = ["roi_heads.embedder.*"]
