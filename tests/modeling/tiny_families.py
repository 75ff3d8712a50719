"""A small model of every family of the zoo, from its file, and inputs for all of them."""

from typing import Any

import torch
from torch import nn

from lazycfg import instantiate
from lazycfg.config.lazy import LazyConfig
from lazycfg.model_zoo import get_config_file
from lazycfg.structures import BitMasks, Boxes, Instances, Keypoints, PolygonMasks

FAMILIES = {
    "mask": "mask_rcnn_fpn",
    "faster": "faster_rcnn_fpn",
    "cascade": "cascade_rcnn",
    "keypoint": "keypoint_rcnn_fpn",
    "c4": "mask_rcnn_c4",
    "rpn": "rpn_fpn",
    "retinanet": "retinanet",
    "fcos": "fcos",
    "panoptic": "panoptic_fpn",
    "semantic": "semantic_fpn",
}
SIZE = (64, 96)
BOXES = [
    [[5.0, 6.0, 40.0, 50.0], [30.0, 10.0, 90.0, 60.0]],
    [[10.0, 20.0, 60.0, 60.0]],
    [[1.0, 2.0, 95.0, 60.0], [40.0, 30.0, 70.0, 63.0], [20.0, 5.0, 50.0, 33.0]],
]


def family(name: str, seed: int = 0) -> nn.Module:
    """The zoo's model with ResNet-18 and few channels, trained on few samples; thresholds so low that there
    are detections."""
    torch.manual_seed(seed)
    config = LazyConfig.load(get_config_file(f"common/models/{FAMILIES[name]}.py")).model
    make_small(config)
    model = instantiate(config)
    with torch.no_grad():
        for key, p in model.named_parameters():  # predictions that differ from each other
            if any(part in key for part in ("cls_score", "bbox_pred", "ctrness", "score_lowres")):
                p.mul_(10) if key.endswith("weight") else p.zero_()
            if name == "c4" and "anchor_deltas" in key:  # of a network this deep they are nothing but noise
                p.zero_()
    return model


def make_small(config: Any) -> None:
    backbone = config.backbone
    bottom_up = backbone.get("bottom_up", backbone)
    if backbone is not bottom_up:
        backbone.out_channels = 16
        del bottom_up.stages["stride_in_1x1"]
        bottom_up.stages.depth = 18
        if "in_channels" in backbone.top_block:
            backbone.top_block.in_channels = 16 if "in_feature" in backbone.top_block else 512
    if "proposal_generator" in config:
        rpn = config.proposal_generator
        if backbone is not bottom_up:
            rpn.head.in_channels = 16
            rpn.anchor_generator.sizes = [[8], [16], [32], [64], [128]]
        few = backbone is bottom_up  # regions of a ResNet-50's last stage cost most
        rpn.pre_nms_topk, rpn.post_nms_topk = (100, 100), (50, 4 if few else 30)
    if "head" in config:
        config.head.input_shape = [shape(16)] * 5
        config.head.conv_dims = [16, 16]
        if "norm" in config.head:
            config.head.norm = ""
        config.test_score_thresh = 0.3
    if "sem_seg_head" in config:
        head = config.sem_seg_head
        head.conv_dims = 32
        for spec in head.input_shape.values():
            object.__setattr__(spec, "channels", 16)
    if "roi_heads" in config:
        small_heads(config.roi_heads, c4=backbone is bottom_up)


def small_heads(heads: Any, c4: bool) -> None:
    heads.batch_size_per_image = 4 if c4 else 64
    for predictor in heads.get("box_predictors") or [heads.box_predictor]:
        predictor.test_score_thresh = 0.02
        if not c4:
            predictor.input_shape = shape(32)
    for box_head in heads.get("box_heads") or [heads.get("box_head")]:
        if box_head is not None:
            box_head.input_shape, box_head.fc_dims = shape(16, 7), [32]
    if "mask_head" in heads and not c4:
        heads.mask_head.input_shape, heads.mask_head.conv_dims = shape(16, 14), [16, 16]
    if "keypoint_head" in heads:
        heads.keypoint_head.input_shape, heads.keypoint_head.conv_dims = shape(16, 14), [16]


def shape(channels: int, side: int | None = None) -> Any:
    from lazycfg.layers import ShapeSpec

    return ShapeSpec(channels=channels, height=side, width=side)


def make_inputs(
    n: int, name: str = "mask", masks: str = "polygons", sizes: list[tuple[int, int]] | None = None
) -> list[dict[str, Any]]:
    """n images of one size (or of `sizes`, in turn) with every kind of ground truth that the family reads."""
    generator = torch.Generator().manual_seed(1)
    batch = []
    for i in range(n):
        h, w = SIZE if sizes is None else sizes[i % len(sizes)]
        boxes = torch.tensor(BOXES[i % 3])
        instances = Instances((h, w), gt_boxes=Boxes(boxes))
        instances.gt_classes = torch.zeros(len(boxes), dtype=torch.int64)
        polygons = PolygonMasks([[[x0, y0, x1, y0, x1, y1, x0, y1]] for x0, y0, x1, y1 in boxes.tolist()])
        if name in ("mask", "cascade", "c4", "panoptic"):
            bits = masks == "bitmasks"
            instances.gt_masks = BitMasks.from_polygon_masks(polygons, h, w) if bits else polygons
        if name == "keypoint":
            at = boxes[:, None, :2] + torch.rand(len(boxes), 17, 2, generator=generator) * (
                boxes[:, None, 2:] - boxes[:, None, :2]
            )
            instances.gt_keypoints = Keypoints(torch.cat((at, torch.full((len(boxes), 17, 1), 2.0)), dim=2))
        batch.append(
            {
                "image": torch.randint(0, 256, (3, h, w), dtype=torch.uint8, generator=generator),
                "height": 2 * h,
                "width": 2 * w,
                "instances": instances,
                "sem_seg": torch.randint(0, 5, (h, w), generator=generator),
            }
        )
    return batch
