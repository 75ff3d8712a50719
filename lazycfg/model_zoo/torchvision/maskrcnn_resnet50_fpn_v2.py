"""The second version of torchvision's Mask R-CNN, from its weights for COCO (box AP 47.4, mask AP 41.8)."""

from ..common.data.coco import dataloader
from ..common.models.mask_rcnn_fpn import model
from ..common.models.torchvision import as_second_version, as_torchvision_rcnn
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_2x as lr_multiplier
from ..common.train import train

as_second_version(as_torchvision_rcnn(model))
model.backbone.bottom_up.freeze_at = 2
dataloader.train.mapper.image_format = "RGB"
dataloader.train.mapper.use_instance_mask = True
train.init_checkpoint = "MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1"
