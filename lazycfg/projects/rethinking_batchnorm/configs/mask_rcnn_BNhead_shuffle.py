"""`mask_rcnn_BNhead` whose heads are trained on regions shuffled over all processes (figure 9)."""

from lazycfg.projects.rethinking_batchnorm import ShuffledBoxHead, ShuffledMaskHead

from .mask_rcnn_BNhead import dataloader, lr_multiplier, model, optimizer, train

model.roi_heads.box_head._target_ = ShuffledBoxHead
model.roi_heads.mask_head._target_ = ShuffledMaskHead
