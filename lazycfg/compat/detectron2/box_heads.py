"""Heads on regions that can be given a config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lazycfg import modeling
from lazycfg.convert.yacs.models.common import box_codec
from lazycfg.convert.yacs.models.heads import box_predictor, keypoint_head, mask_head
from lazycfg.layers import ShapeSpec
from lazycfg.modeling.roi_heads.fast_rcnn import log_classification_stats
from lazycfg.modeling.roi_heads.keypoint_head import keypoint_rcnn_inference as keypoint_rcnn_inference
from lazycfg.modeling.roi_heads.keypoint_head import keypoint_rcnn_loss as keypoint_rcnn_loss
from lazycfg.structures import Instances

from .building import arguments_of, federated_weights, keys_of
from .configurable import configurable
from .stand_in import StandIn

__all__ = [
    "BaseKeypointRCNNHead",
    "BaseMaskRCNNHead",
    "FastRCNNConvFCHead",
    "FastRCNNOutputLayers",
    "KRCNNConvDeconvUpsampleHead",
    "MaskRCNNConvUpsampleHead",
    "RotatedFastRCNNOutputLayers",
    "fast_rcnn_inference",
    "fast_rcnn_inference_single_image",
    "keypoint_rcnn_inference",
    "keypoint_rcnn_loss",
]

_log_classification_stats = log_classification_stats


class FastRCNNConvFCHead(modeling.FastRCNNConvFCHead, metaclass=StandIn):
    """`lazycfg.modeling.FastRCNNConvFCHead`, or of ``(cfg, shape of a region)``."""

    stands_for = modeling.FastRCNNConvFCHead

    @configurable
    def __init__(self, input_shape: ShapeSpec, *, conv_dims: Any, fc_dims: Any, conv_norm: Any = "") -> None:
        super().__init__(input_shape, conv_dims=conv_dims, fc_dims=fc_dims, conv_norm=conv_norm)

    @property
    def _output_size(self) -> int | tuple[int, int, int]:
        """The output shape as subclasses read and set it: one number, or (channels, height, width)."""
        shape = self._output_shape
        if shape.height is None or shape.width is None:
            return shape.channels
        return shape.channels, shape.height, shape.width

    @_output_size.setter
    def _output_size(self, size: int | Sequence[int]) -> None:
        channels, height, width = (size, None, None) if isinstance(size, int) else size
        self._output_shape = ShapeSpec(channels=channels, height=height, width=width)

    @classmethod
    def from_config(cls, cfg: Any, input_shape: ShapeSpec) -> dict[str, Any]:
        """Return the arguments that a config asks for, on regions of a shape."""
        section = cfg.MODEL.ROI_BOX_HEAD
        return {
            "input_shape": input_shape,
            "conv_dims": [section.CONV_DIM] * section.NUM_CONV,
            "fc_dims": [section.FC_DIM] * section.NUM_FC,
            "conv_norm": section.NORM,
        }


def _predictor_arguments(cfg: Any, input_shape: ShapeSpec) -> dict[str, Any]:
    node = box_predictor(keys_of(cfg), input_shape, box_codec(cfg.MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS))
    if node.get("get_fed_loss_cls_weights") is not None:
        node.get_fed_loss_cls_weights = federated_weights(cfg)
    arguments = arguments_of(node, num_classes=cfg.MODEL.ROI_HEADS.NUM_CLASSES)
    arguments.setdefault("loss_weight", {"loss_box_reg": cfg.MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_WEIGHT})
    return arguments


class FastRCNNOutputLayers(modeling.FastRCNNOutputLayers, metaclass=StandIn):
    """`lazycfg.modeling.FastRCNNOutputLayers`, or of ``(cfg, shape of the features)``."""

    stands_for = modeling.FastRCNNOutputLayers

    @configurable
    def __init__(self, input_shape: Any, **kwargs: Any) -> None:
        super().__init__(input_shape, **kwargs)
        self.loss_weight = {"loss_cls": 1.0, "loss_box_reg": 1.0, **self.loss_weight}

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for, on features of a shape."""
        return _predictor_arguments(cfg, input_shape)


class RotatedFastRCNNOutputLayers(modeling.RotatedFastRCNNOutputLayers, metaclass=StandIn):
    """`lazycfg.modeling.RotatedFastRCNNOutputLayers`, or of ``(cfg, shape of the features)``."""

    stands_for = modeling.RotatedFastRCNNOutputLayers

    @configurable
    def __init__(self, input_shape: Any, **kwargs: Any) -> None:
        super().__init__(input_shape, **kwargs)

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for, on features of a shape."""
        weights = cfg.MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS
        codec = modeling.Box2BoxTransformRotated(weights=weights)
        return {**_predictor_arguments(cfg, input_shape), "box2box_transform": codec}


class BaseMaskRCNNHead(modeling.BaseMaskRCNNHead, metaclass=StandIn):
    """`lazycfg.modeling.BaseMaskRCNNHead`, or of ``(cfg, shape of a region)``."""

    stands_for = modeling.BaseMaskRCNNHead

    @configurable
    def __init__(self, *, loss_weight: float = 1.0, vis_period: int = 0) -> None:
        super().__init__(loss_weight=loss_weight, vis_period=vis_period)

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for."""
        return {"vis_period": cfg.VIS_PERIOD}


class MaskRCNNConvUpsampleHead(modeling.MaskRCNNConvUpsampleHead, metaclass=StandIn):
    """`lazycfg.modeling.MaskRCNNConvUpsampleHead`, or of ``(cfg, shape of a region)``."""

    stands_for = modeling.MaskRCNNConvUpsampleHead

    @configurable
    def __init__(self, input_shape: ShapeSpec, *, num_classes: int, conv_dims: Any, **kwargs: Any) -> None:
        super().__init__(input_shape, num_classes=num_classes, conv_dims=conv_dims, **kwargs)

    @classmethod
    def from_config(cls, cfg: Any, input_shape: ShapeSpec) -> dict[str, Any]:
        """Return the arguments that a config asks for, on regions of a shape."""
        classes = 1 if cfg.MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK else cfg.MODEL.ROI_HEADS.NUM_CLASSES
        return arguments_of(mask_head(keys_of(cfg), input_shape), num_classes=classes)


class BaseKeypointRCNNHead(modeling.BaseKeypointRCNNHead, metaclass=StandIn):
    """`lazycfg.modeling.BaseKeypointRCNNHead`, or of ``(cfg, shape of a region)``."""

    stands_for = modeling.BaseKeypointRCNNHead

    @configurable
    def __init__(self, *, num_keypoints: int, loss_weight: float = 1.0, loss_normalizer: Any = 1.0) -> None:
        super().__init__(
            num_keypoints=num_keypoints, loss_weight=loss_weight, loss_normalizer=loss_normalizer
        )

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for."""
        return _keypoint_arguments(cfg, input_shape, ("input_shape", "conv_dims"))


class KRCNNConvDeconvUpsampleHead(modeling.KRCNNConvDeconvUpsampleHead, metaclass=StandIn):
    """`lazycfg.modeling.KRCNNConvDeconvUpsampleHead`, or of ``(cfg, shape of a region)``."""

    stands_for = modeling.KRCNNConvDeconvUpsampleHead

    @configurable
    def __init__(self, input_shape: ShapeSpec, *, num_keypoints: int, conv_dims: Any, **kwargs: Any) -> None:
        super().__init__(input_shape, num_keypoints=num_keypoints, conv_dims=conv_dims, **kwargs)

    @classmethod
    def from_config(cls, cfg: Any, input_shape: ShapeSpec) -> dict[str, Any]:
        """Return the arguments that a config asks for, on regions of a shape."""
        return {**_keypoint_arguments(cfg, input_shape, ()), "input_shape": input_shape}


def _keypoint_arguments(cfg: Any, input_shape: Any, without: tuple[str, ...]) -> dict[str, Any]:
    return arguments_of(keypoint_head(keys_of(cfg), int(input_shape.channels)), without=without)


def fast_rcnn_inference(
    boxes: Sequence[Tensor],
    scores: Sequence[Tensor],
    image_shapes: Sequence[tuple[int, int]],
    score_thresh: float,
    nms_thresh: float,
    topk_per_image: int,
) -> tuple[list[Instances], list[Tensor]]:
    """Return the detections of each image after NMS, and which of its regions they come from.

    Args:
        boxes: per image (R_i, K * 4) or (R_i, 4).
        scores: per image (R_i, K + 1).
    """
    return modeling.fast_rcnn_inference(boxes, scores, image_shapes, score_thresh, nms_thresh, topk_per_image)


def fast_rcnn_inference_single_image(
    boxes: Tensor,
    scores: Tensor,
    image_shape: tuple[int, int],
    score_thresh: float,
    nms_thresh: float,
    topk_per_image: int,
) -> tuple[Instances, Tensor]:
    """Return the detections of one image, see `fast_rcnn_inference`."""
    found, rows = fast_rcnn_inference(
        [boxes], [scores], [image_shape], score_thresh, nms_thresh, topk_per_image
    )
    return found[0], rows[0]
