"""The second version of torchvision's RetinaNet, from its weights for COCO (box AP 41.5)."""

from ..common.data.coco import dataloader
from ..common.models.retinanet import model
from ..common.models.torchvision import as_torchvision_dense, retinanet_anchors
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_2x as lr_multiplier
from ..common.train import train

as_torchvision_dense(model, "BN")
model.anchor_generator = retinanet_anchors()
model.head.norm = "GN"
model.box_reg_loss_type = "giou"
model.max_detections_per_image = 300
model.backbone.bottom_up.freeze_at = 2
dataloader.train.mapper.image_format = "RGB"
dataloader.train.mapper.use_instance_mask = False
train.init_checkpoint = "RetinaNet_ResNet50_FPN_V2_Weights.COCO_V1"
