"""Surface embeddings of nine kinds of animals, beginning with their boxes and masks.

The reference published box AP 54.2, segm 67.0, GPS 29.0, GPSm 38.6; mesh alignment: GE 13.2, GPS 85.4.
"""

from ..common.cse_animals import evaluate_alignment
from .densepose_rcnn_R_50_FPN_soft_animals_finetune_16k import (
    dataloader,
    lr_multiplier,
    model,
    optimizer,
    train,
)

evaluate_alignment(dataloader, "ds2")
# What densepose_rcnn_R_50_FPN_soft_animals_finetune_maskonly_24k.py trains
train.update(
    init_checkpoint="${oc.env:LAZYCFG_WEIGHTS,weights}/densepose/cse/"
    "densepose_rcnn_R_50_FPN_soft_animals_finetune_maskonly_24k/model_final.pkl",
    init_ignore=[],
)
