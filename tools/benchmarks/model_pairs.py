"""Our models and torchvision's, of the same architecture and with the same weights.

The weights are random, and both sides get them: torchvision's are renamed and loaded into ours. What the zoo
does otherwise than torchvision (stride in the 1x1 convolution, exact ROIAlign, P6 of C5) is set to
torchvision's choice. Random weights give neither trained scores nor trained boxes, so the residual branches
are damped, which keeps the activations in range, the classifier is spread, and the score threshold is put
where a few hundred candidates of an image pass, as with a trained detector. Both sides then find (nearly) the
same boxes; the tables show how many.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from lazycfg import LazyConfig, instantiate
from lazycfg.model_zoo import get_config_file
from lazycfg.structures import BitMasks, Boxes, Instances

__all__ = ["PAIRS", "Pair", "make_pair", "our_batch", "their_batch"]

PAIRS = ("mask_rcnn", "retinanet")
CLASSES = 80
OBJECTS = 8
CANDIDATES = 300
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass
class Pair:
    """Both models, in inference mode."""

    ours: nn.Module
    theirs: nn.Module


def make_pair(name: str, size: tuple[int, int], device: torch.device) -> Pair:
    """The models of `PAIRS`, for images of (height, width)."""
    torch.manual_seed(0)
    theirs = {"mask_rcnn": their_mask_rcnn, "retinanet": their_retinanet}[name](size)
    with torch.no_grad():
        for key, value in theirs.state_dict().items():
            if key.endswith("bn3.weight"):
                value.fill_(0.2)
            elif re.search(r"cls_(score|logits)\.weight|bbox_(pred|reg)\.weight", key):
                value.mul_(3)
    config = LazyConfig.load(
        get_config_file(f"common/models/{name}{'_fpn' * (name != 'retinanet')}.py")
    ).model
    config.backbone.bottom_up.stages["stride_in_1x1"] = False
    config.backbone.bottom_up.freeze_at = 2
    config.pixel_mean, config.pixel_std = ([255 * x for x in numbers] for numbers in (MEAN, STD))
    if name == "mask_rcnn":
        for pooler in (config.roi_heads.box_pooler, config.roi_heads.mask_pooler):
            pooler.update(pooler_type="ROIAlign", sampling_ratio=2)
        config.proposal_generator.post_nms_topk = (2000, 1000)
    else:
        config.backbone.top_block.update(in_channels=256, in_feature="p5")
    ours = instantiate(config)
    missing = ours.load_state_dict(renamed(theirs.state_dict(), set(ours.state_dict())), strict=False)
    if missing.missing_keys or missing.unexpected_keys:
        raise RuntimeError(f"torchvision's weights do not fit: {missing}")
    pair = Pair(ours.to(device).eval(), theirs.to(device).eval())
    set_threshold(pair, our_batch(1, size))
    return pair


def their_mask_rcnn(size: tuple[int, int]) -> nn.Module:
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=3
    )
    return MaskRCNN(
        backbone,
        num_classes=CLASSES + 1,
        min_size=min(size),
        max_size=max(size),
        image_mean=MEAN,
        image_std=STD,
    )


def their_retinanet(size: tuple[int, int]) -> nn.Module:
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50",
        weights=None,
        norm_layer=FrozenBatchNorm2d,
        trainable_layers=3,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    sizes = tuple(tuple(x * 2 ** (i / 3) for i in range(3)) for x in (32, 64, 128, 256, 512))
    return RetinaNet(
        backbone,
        num_classes=CLASSES,
        min_size=min(size),
        max_size=max(size),
        image_mean=MEAN,
        image_std=STD,
        anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 5),
        detections_per_img=100,
    )


RENAMES = [
    (r"^backbone\.body\.(conv1|bn1)", r"backbone.bottom_up.stem.\1"),
    (r"\.stem\.bn1\.", ".stem.conv1.norm."),
    (r"^backbone\.body\.layer(\d)", lambda m: f"backbone.bottom_up.res{int(m[1]) + 1}"),
    (r"\.downsample\.0\.", ".shortcut."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
    (r"\.bn(\d)\.", r".conv\1.norm."),
    (r"^backbone\.fpn\.extra_blocks\.", "backbone.top_block."),
    (r"^rpn\.head\.conv\.0\.0", "proposal_generator.rpn_head.conv"),
    (r"^rpn\.head\.cls_logits", "proposal_generator.rpn_head.objectness_logits"),
    (r"^rpn\.head\.bbox_pred", "proposal_generator.rpn_head.anchor_deltas"),
    (r"^roi_heads\.box_head\.fc6", "roi_heads.box_head.fc1"),
    (r"^roi_heads\.box_head\.fc7", "roi_heads.box_head.fc2"),
    (r"^roi_heads\.mask_head\.(\d)\.0", lambda m: f"roi_heads.mask_head.mask_fcn{int(m[1]) + 1}"),
    (r"^roi_heads\.mask_predictor\.conv5_mask", "roi_heads.mask_head.deconv"),
    (r"^roi_heads\.mask_predictor\.mask_fcn_logits", "roi_heads.mask_head.predictor"),
    (r"^head\.classification_head\.conv\.(\d)\.0", lambda m: f"head.cls_subnet.{2 * int(m[1])}"),
    (r"^head\.regression_head\.conv\.(\d)\.0", lambda m: f"head.bbox_subnet.{2 * int(m[1])}"),
    (r"^head\.classification_head\.cls_logits", "head.cls_score"),
    (r"^head\.regression_head\.bbox_reg", "head.bbox_pred"),
]


def renamed(state: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    """torchvision's weights under our names, with the background last and none where it has no use."""
    first = 2 if "backbone.fpn_lateral2.weight" in wanted else 3  # log2 of the finest stride
    out = {}
    for key, value in state.items():
        if match := re.match(r"backbone\.fpn\.(inner|layer)_blocks\.(\d)\.0\.(.+)", key):
            kind = {"inner": "fpn_lateral", "layer": "fpn_output"}[match[1]]
            key = f"backbone.{kind}{int(match[2]) + first}.{match[3]}"
        for pattern, replacement in RENAMES:
            key = re.sub(pattern, replacement, key)
        if "box_predictor.cls_score" in key:
            value = value.roll(-1, dims=0)
        elif "box_predictor.bbox_pred" in key:
            value = value[4:]
        elif "mask_head.predictor" in key:
            value = value[1:]
        out[key] = value
    return out


@torch.no_grad()
def set_threshold(pair: Pair, batch: list[dict[str, Any]]) -> None:
    """The score that `CANDIDATES` of an image reach, on both sides."""
    ours = pair.ours
    images = ours.preprocess_image(batch)
    features = ours.backbone(images.tensor)
    if hasattr(ours, "roi_heads"):
        proposals, _ = ours.proposal_generator(images, features)
        heads = ours.roi_heads
        pooled = heads.box_pooler(
            [features[name] for name in heads.box_in_features], [x.proposal_boxes for x in proposals]
        )
        scores = heads.box_predictor(heads.box_head(pooled))[0].softmax(-1)[:, :-1].flatten()
    else:
        logits, _ = ours.head([features[name] for name in ours.head_in_features])
        scores = torch.cat([x.flatten().sigmoid() for x in logits])
    threshold = float(scores.topk(CANDIDATES).values[-1])
    if hasattr(ours, "roi_heads"):
        ours.roi_heads.box_predictor.test_score_thresh = threshold
        pair.theirs.roi_heads.score_thresh = threshold
    else:
        ours.test_score_thresh = threshold
        pair.theirs.score_thresh = threshold


def our_batch(n: int, size: tuple[int, int]) -> list[dict[str, Any]]:
    """n images (height, width) with `OBJECTS` objects each, as our data loader gives them."""
    generator = torch.Generator().manual_seed(1)
    height, width = size
    scale = torch.tensor([width, height])
    batch = []
    for _ in range(n):
        low = torch.rand(OBJECTS, 2, generator=generator) * 0.7 * scale
        boxes = torch.cat(
            (low, low + (0.08 + 0.22 * torch.rand(OBJECTS, 2, generator=generator)) * scale), dim=1
        )
        masks = torch.zeros((OBJECTS, height, width), dtype=torch.bool)
        for mask, (x0, y0, x1, y1) in zip(masks, boxes.long().tolist(), strict=True):
            mask[y0:y1, x0:x1] = True
        instances = Instances(size, gt_boxes=Boxes(boxes))
        instances.gt_classes = torch.randint(0, CLASSES, (OBJECTS,), generator=generator)
        instances.gt_masks = BitMasks(masks)
        image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)
        if torch.cuda.is_available():
            image, instances = image.pin_memory(), instances.pin_memory()
        batch.append({"image": image, "height": height, "width": width, "instances": instances})
    return batch


def their_batch(
    batch: list[dict[str, Any]], name: str, device: torch.device
) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """The same for torchvision. Its models take images and targets that are on the device already."""
    shift = 1 if name == "mask_rcnn" else 0  # where class 0 is the background
    images = [x["image"].to(device).float() / 255 for x in batch]
    targets = [
        {
            "boxes": x["instances"].gt_boxes.tensor.to(device),
            "labels": x["instances"].gt_classes.to(device) + shift,
            "masks": x["instances"].gt_masks.tensor.to(device, torch.uint8),
        }
        for x in batch
    ]
    return images, targets
