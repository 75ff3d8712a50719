"""Faster R-CNN on one map of stride 16 ("C4"): Mask R-CNN without its mask branch."""

from .mask_rcnn_c4 import model

del model.roi_heads["mask_head"]
