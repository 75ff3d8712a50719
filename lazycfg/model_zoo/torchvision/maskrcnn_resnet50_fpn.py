"""torchvision's Mask R-CNN, from its weights for COCO (box AP 37.9, mask AP 34.6)."""

from ..common.data.coco import dataloader
from ..common.models.mask_rcnn_fpn import model
from ..common.models.torchvision import as_torchvision_rcnn
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_2x as lr_multiplier
from ..common.train import train

as_torchvision_rcnn(model)
model.backbone.bottom_up.freeze_at = 2
dataloader.train.mapper.image_format = "RGB"
dataloader.train.mapper.use_instance_mask = True
train.init_checkpoint = "MaskRCNN_ResNet50_FPN_Weights.COCO_V1"
