"""Boxes and masks of nine kinds of animals without a loss of embeddings: what models named I0 begin with."""

from ..common.schedules import multi_step
from .densepose_rcnn_R_50_FPN_soft_animals_finetune_16k import dataloader, model, optimizer, train

model.roi_heads.densepose_losses.w_embed = 0.0
lr_multiplier = multi_step([20000, 22000], 24000, warmup_factor=0.1)
train.max_iter = 24000
