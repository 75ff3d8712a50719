"""Mask R-CNN, ResNet-50-FPN, boxes learned by their generalized IoU (arXiv:1902.09630), 1x schedule."""

from .mask_rcnn_R_50_FPN_1x import dataloader, lr_multiplier, model, optimizer, train

model.proposal_generator.update(
    box_reg_loss_type="giou", loss_weight={"loss_rpn_cls": 1.0, "loss_rpn_loc": 2.0}
)
model.roi_heads.box_predictor.update(box_reg_loss_type="giou", loss_weight={"loss_box_reg": 10.0})
