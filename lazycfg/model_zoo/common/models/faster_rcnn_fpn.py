"""Faster R-CNN on a feature pyramid: Mask R-CNN without its mask branch."""

from .mask_rcnn_fpn import model

for name in ("mask_in_features", "mask_pooler", "mask_head"):
    del model.roi_heads[name]
