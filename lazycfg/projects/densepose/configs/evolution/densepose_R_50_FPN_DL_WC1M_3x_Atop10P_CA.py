"""DensePose for chimpanzees, trained on persons and animals as one class (arXiv:2003.00080).

The reference published box AP 61.3, segm 59.1, GPS 20.0 (APex 36.2), GPSm 30.2.
"""

from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.train import train

from ..common.chimps import dataloader
from ..common.densepose_rcnn_fpn import model
from ..common.schedules import lr_multiplier_3x as lr_multiplier
from ..common.variants import use_confidences, use_deeplab_head

use_deeplab_head(model)
use_confidences(model, train, uv_type="iid_iso", segm=True)
model.roi_heads.box_pooler.update(pooler_type="ROIAlignV2", sampling_ratio=0)
model.roi_heads.densepose_losses.update(segm_trained_by_masks=True, w_segm=1.0)
optimizer.lr = 0.02
train.max_iter = 270000
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
