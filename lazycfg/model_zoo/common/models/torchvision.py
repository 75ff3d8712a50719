"""torchvision's detectors on ResNet-50-FPN: with its weights these give what its own models give.

They differ from detectron2's in what images they expect (RGB), where a bottleneck has its stride, how anchors
lie on the levels, and how regions are pooled. torchvision resizes without smoothing: `ResizeShortestEdge`
gives other pixels where an image is made smaller.
"""

from functools import partial
from typing import Any

from lazycfg import LazyCall as L
from lazycfg.layers import FrozenBatchNorm2d
from lazycfg.modeling import TorchvisionAnchorGenerator

from ..data.constants import constants

_RATIOS = [0.5, 1.0, 2.0]

# torchvision sets the epsilon of its first detectors' frozen normalisations so, after loading their weights.
_FROZEN_BN_WITHOUT_EPS = partial(FrozenBatchNorm2d, eps=0.0)


def _of_images(model: Any, norm: Any) -> None:
    model.update(
        pixel_mean=constants["imagenet_rgb256_mean"],
        pixel_std=constants["imagenet_rgb256_std"],
        input_format="RGB",
    )
    resnet = model.backbone.bottom_up
    resnet.stages.update(stride_in_1x1=False, norm=norm)
    resnet.stem.norm = norm


def as_torchvision_rcnn(model: Any, norm: Any = _FROZEN_BN_WITHOUT_EPS) -> Any:
    """Change an R-CNN of the zoo with an FPN into torchvision's."""
    _of_images(model, norm)
    model.proposal_generator.update(
        anchor_generator=L(TorchvisionAnchorGenerator)(
            sizes=[[32], [64], [128], [256], [512]], aspect_ratios=_RATIOS, strides=[4, 8, 16, 32, 64]
        ),
        post_nms_topk=(2000, 1000),
        min_box_size=0.001,
        smooth_l1_beta=1 / 9,
    )
    heads = model.roi_heads
    heads.box_predictor.smooth_l1_beta = 1 / 9
    for name in ("box_pooler", "mask_pooler", "keypoint_pooler"):
        if name in heads:
            heads[name].update(pooler_type="ROIAlign", sampling_ratio=2)
    return model


def as_second_version(model: Any) -> Any:
    """Change torchvision's R-CNN into its second version: batch normalisation everywhere, larger heads."""
    _of_images(model, "BN")
    model.backbone.norm = "BN"
    model.proposal_generator.head.conv_dims = [-1, -1]
    model.roi_heads.box_head.update(conv_dims=[256] * 4, fc_dims=[1024], conv_norm="BN")
    if "mask_head" in model.roi_heads:
        model.roi_heads.mask_head.conv_norm = "BN"
    return model


def as_torchvision_dense(model: Any, norm: Any = _FROZEN_BN_WITHOUT_EPS) -> Any:
    """Change a RetinaNet or FCOS of the zoo into torchvision's; its anchor generator is set besides."""
    _of_images(model, norm)
    model.clip_before_nms = True
    return model


def dense_anchors(sizes: Any, ratios: Any) -> Any:
    """Return the anchors of five levels from stride 8."""
    return L(TorchvisionAnchorGenerator)(sizes=sizes, aspect_ratios=ratios, strides=[8, 16, 32, 64, 128])


def retinanet_anchors() -> Any:
    """Return RetinaNet's, of whole pixels."""
    sizes = [[x, int(x * 2 ** (1.0 / 3)), int(x * 2 ** (2.0 / 3))] for x in (32, 64, 128, 256, 512)]
    return dense_anchors(sizes, _RATIOS)
