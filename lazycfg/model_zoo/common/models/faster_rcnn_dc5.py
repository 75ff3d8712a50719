"""Faster R-CNN with a dilated last stage ("DC5"): Mask R-CNN without its mask branch."""

from .mask_rcnn_dc5 import model

for name in ("mask_in_features", "mask_pooler", "mask_head"):
    del model.roi_heads[name]
