"""Surface embeddings of nine kinds of animals, beginning with those of people, longer and on more annotations
(the reference published no numbers).
"""

from ..common.cse_animals import use_animal_meshes, use_animals
from ..common.densepose_cse_fpn import use_soft_loss
from ..common.schedules import multi_step
from .densepose_rcnn_R_50_FPN_soft_animals_finetune_4k import dataloader, model, optimizer, train

use_animals(dataloader, "ds2")
use_animal_meshes(model, "ds2")
use_soft_loss(model, sigma=0.1)
lr_multiplier = multi_step([12000, 14000], 16000, warmup_factor=0.1)
train.max_iter = 16000
