"""torchvision's Faster R-CNN, from its weights for COCO (box AP 37.0)."""

from ..common.data.coco import dataloader
from ..common.models.faster_rcnn_fpn import model
from ..common.models.torchvision import as_torchvision_rcnn
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_2x as lr_multiplier
from ..common.train import train

as_torchvision_rcnn(model)
model.backbone.bottom_up.freeze_at = 2
dataloader.train.mapper.image_format = "RGB"
dataloader.train.mapper.use_instance_mask = False
train.init_checkpoint = "FasterRCNN_ResNet50_FPN_Weights.COCO_V1"
