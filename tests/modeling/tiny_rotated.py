"""A detector of rotated boxes that is small enough for tests that run it many times."""

from typing import Any

import torch

from lazycfg import LazyConfig, instantiate
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo import get_config_file
from lazycfg.modeling import GeneralizedRCNN
from lazycfg.structures import Instances, RotatedBoxes

SIZES = [(64, 96), (80, 64), (96, 96)]
BOXES = [
    [[30.0, 30.0, 40.0, 20.0, 30.0], [60.0, 30.0, 16.0, 30.0, -100.0]],
    [[30.0, 40.0, 30.0, 12.0, 170.0]],
    [[50.0, 50.0, 80.0, 60.0, 5.0], [60.0, 60.0, 20.0, 24.0, 45.0], [30.0, 20.0, 9.0, 30.0, -30.0]],
]


def tiny_config(num_classes: int = 3) -> Any:
    """The zoo's rotated Faster R-CNN with ResNet-18 and 16 channels everywhere else."""
    model = LazyConfig.load(get_config_file("common/models/rotated_faster_rcnn.py")).model
    del model.backbone.bottom_up.stages["stride_in_1x1"]
    model.backbone.bottom_up.stages.depth = 18
    model.backbone.out_channels = 16
    rpn, heads = model.proposal_generator, model.roi_heads
    rpn.head.in_channels = 16
    rpn.anchor_generator.sizes = [[8], [16], [32], [64], [128]]
    rpn.update(pre_nms_topk=(100, 100), post_nms_topk=(50, 30), batch_size_per_image=128)
    heads.update(num_classes=num_classes, batch_size_per_image=64)
    heads.box_head.update(input_shape=ShapeSpec(channels=16, height=7, width=7), fc_dims=[32])
    heads.box_predictor.input_shape = ShapeSpec(channels=32)
    return model


def tiny_model(**roi_heads: Any) -> GeneralizedRCNN:
    torch.manual_seed(0)
    config = tiny_config()
    config.roi_heads.update(roi_heads)
    return instantiate(config)


def make_batch(
    n: int, empty: tuple[int, ...] = (), size: tuple[int, int] | None = None
) -> list[dict[str, Any]]:
    """n images; those whose index is in `empty` have no objects."""
    generator = torch.Generator().manual_seed(1)
    batch = []
    for i in range(n):
        h, w = size or SIZES[i % 3]
        boxes = [] if i in empty else BOXES[i % 3]
        instances = Instances((h, w))
        instances.gt_boxes = RotatedBoxes(torch.tensor(boxes).reshape(-1, 5))
        instances.gt_classes = torch.arange(len(boxes)) % 3
        image = torch.randint(0, 256, (3, h, w), dtype=torch.uint8, generator=generator)
        batch.append({"image": image, "height": 2 * h, "width": 2 * w, "instances": instances})
    return batch
