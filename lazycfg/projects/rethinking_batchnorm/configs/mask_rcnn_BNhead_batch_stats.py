"""`mask_rcnn_BNhead` whose heads normalise by the batch in evaluation, too: for its trained weights."""

from lazycfg.projects.rethinking_batchnorm import BatchNormBatchStat

from .mask_rcnn_BNhead import dataloader, lr_multiplier, model, optimizer, train

model.roi_heads.box_head.conv_norm = BatchNormBatchStat
model.roi_heads.mask_head.conv_norm = BatchNormBatchStat
