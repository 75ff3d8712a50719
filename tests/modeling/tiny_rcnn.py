"""A Mask R-CNN that is small enough for tests that run it many times."""

from typing import Any

import torch

from lazycfg import instantiate
from lazycfg.config.lazy import LazyConfig
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo import get_config_file
from lazycfg.modeling import GeneralizedRCNN, ResNet
from lazycfg.structures import BitMasks, Boxes, Instances, PolygonMasks

SIZES = [(64, 96), (80, 64), (96, 96)]
BOXES = [
    [[5.0, 6.0, 40.0, 50.0], [30.0, 10.0, 90.0, 60.0]],
    [[10.0, 20.0, 60.0, 70.0]],
    [[1.0, 2.0, 95.0, 90.0], [40.0, 40.0, 70.0, 80.0], [20.0, 5.0, 50.0, 33.0]],
]


def tiny_config(num_classes: int = 3) -> Any:
    """The zoo's Mask R-CNN with ResNet-18 and 16 channels everywhere else."""
    model = LazyConfig.load(get_config_file("common/models/mask_rcnn_fpn.py")).model
    del model.backbone.bottom_up.stages["stride_in_1x1"]
    model.backbone.bottom_up.stages.depth = 18
    model.backbone.out_channels = 16
    rpn, heads = model.proposal_generator, model.roi_heads
    rpn.head.in_channels = 16
    rpn.anchor_generator.sizes = [[8], [16], [32], [64], [128]]
    rpn.pre_nms_topk, rpn.post_nms_topk = (100, 100), (50, 30)
    heads.num_classes = num_classes
    heads.batch_size_per_image = 64
    heads.box_head.input_shape = ShapeSpec(channels=16, height=7, width=7)
    heads.box_head.fc_dims = [32]
    heads.box_predictor.input_shape = ShapeSpec(channels=32)
    heads.mask_head.input_shape = ShapeSpec(channels=16, height=14, width=14)
    heads.mask_head.conv_dims = [16, 16]
    return model


def tiny_model(**roi_heads: Any) -> GeneralizedRCNN:
    torch.manual_seed(0)
    config = tiny_config()
    config.roi_heads.update(roi_heads)
    model = instantiate(config)
    assert isinstance(model.backbone.bottom_up, ResNet)
    return model


def make_batch(n: int, masks: str = "polygons", empty: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    """n images; those whose index is in `empty` have no objects. masks: "polygons", "bitmasks" or "none"."""
    generator = torch.Generator().manual_seed(1)
    batch = []
    for i in range(n):
        h, w = SIZES[i % 3]
        boxes = [] if i in empty else BOXES[i % 3]
        instances = Instances((h, w))
        instances.gt_boxes = Boxes(torch.tensor(boxes).reshape(-1, 4))
        instances.gt_classes = torch.arange(len(boxes)) % 3
        polygons = PolygonMasks([[[x0, y0, x1, y0, x1, y1, x0, y1]] for x0, y0, x1, y1 in boxes])
        if masks == "polygons":
            instances.gt_masks = polygons
        elif masks == "bitmasks":
            instances.gt_masks = BitMasks.from_polygon_masks(polygons, h, w)
        image = torch.randint(0, 256, (3, h, w), dtype=torch.uint8, generator=generator)
        batch.append({"image": image, "height": 2 * h, "width": 2 * w, "instances": instances})
    return batch
