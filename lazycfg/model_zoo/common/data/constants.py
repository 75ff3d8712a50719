"""Statistics of the pixels that pretrained backbones were trained with."""

from typing import Any

constants: Any = dict(
    imagenet_rgb256_mean=[123.675, 116.28, 103.53],
    imagenet_rgb256_std=[58.395, 57.12, 57.375],
    imagenet_bgr256_mean=[103.530, 116.280, 123.675],
    # For weights converted from Caffe2 or Detectron, whose std is absorbed in the weights of conv1:
    imagenet_bgr256_std=[1.0, 1.0, 1.0],
)
