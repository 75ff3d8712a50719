"""Surface embeddings of nine kinds of animals, which are one class for the detector, longer and on more
annotations (the reference published no numbers).
"""

from ..common.cse_animals import use_animals
from .densepose_rcnn_R_50_FPN_soft_animals_finetune_16k import (
    dataloader,
    lr_multiplier,
    model,
    optimizer,
    train,
)

use_animals(dataloader, "ds2", one_class=True)
model.roi_heads.num_classes = 1
# Annotations say which mesh an animal is on; where there are none, it is taken for a sheep.
model.roi_heads.embedder.class_to_mesh_name = {0: "sheep_5004"}
train.init_ignore = ["roi_heads.embedder.*"]
