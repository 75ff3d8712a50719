"""torchvision's FCOS, from its weights for COCO (box AP 39.2)."""

from ..common.data.coco import dataloader
from ..common.models.fcos import model
from ..common.models.torchvision import as_torchvision_dense, dense_anchors
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_2x as lr_multiplier
from ..common.train import train

as_torchvision_dense(model, "FrozenBN")
model.anchor_generator = dense_anchors([[8], [16], [32], [64], [128]], [1.0])
model.backbone.bottom_up.freeze_at = 2
dataloader.train.mapper.image_format = "RGB"
dataloader.train.mapper.use_instance_mask = False
train.init_checkpoint = "FCOS_ResNet50_FPN_Weights.COCO_V1"
