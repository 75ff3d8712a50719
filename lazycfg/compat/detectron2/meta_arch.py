"""Whole models that can be given a config."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazycfg import modeling
from lazycfg.config import instantiate
from lazycfg.convert.yacs.models.common import box_codec, matcher
from lazycfg.convert.yacs.models.segmentation import fpn_head
from lazycfg.utils import get_event_storage

from . import registries
from .building import arguments_of, keys_of, shapes_by_name
from .configurable import OfConfig, configurable
from .stand_in import StandIn

__all__ = [
    "GeneralizedRCNN",
    "PanopticFPN",
    "ProposalNetwork",
    "RetinaNet",
    "RetinaNetHead",
    "SemSegFPNHead",
    "SemanticSegmentor",
]

_DENSE = {
    "losses": "tensors of all levels and images; see RetinaNet.losses",
    "label_anchors": "(anchors (A, 4), gt_instances) -> classes (B, A), boxes (B, A, 4)",
}


def _images(cfg: Any) -> dict[str, Any]:
    return {
        "pixel_mean": cfg.MODEL.PIXEL_MEAN,
        "pixel_std": cfg.MODEL.PIXEL_STD,
        "input_format": cfg.INPUT.FORMAT,
    }


class GeneralizedRCNN(OfConfig, modeling.GeneralizedRCNN, metaclass=StandIn):
    """`lazycfg.modeling.GeneralizedRCNN`, or of a config."""

    stands_for = modeling.GeneralizedRCNN

    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Return the parts that a config asks for, built."""
        backbone = registries.build_backbone(cfg)
        shapes = backbone.output_shape()
        return {
            "backbone": backbone,
            "proposal_generator": registries.build_proposal_generator(cfg, shapes),
            "roi_heads": registries.build_roi_heads(cfg, shapes),
            "vis_period": cfg.VIS_PERIOD,
            **_images(cfg),
        }

    def _move_to_current_device(self, x: Any) -> Any:
        return x.to(self.device)

    def visualize_training(self, batched_inputs: Any, proposals: Any) -> None:
        """Record the first image with its objects beside it with the best proposals, for TensorBoard."""
        from .detection_utils import convert_image_to_rgb
        from .visualizer import Visualizer

        for given, proposed in zip(batched_inputs, proposals, strict=True):
            image = convert_image_to_rgb(given["image"].permute(1, 2, 0), self.input_format or "BGR")
            truth = Visualizer(image, None).overlay_instances(boxes=given["instances"].gt_boxes)
            boxes = proposed.proposal_boxes.tensor[:20].cpu().numpy()
            found = Visualizer(image, None).overlay_instances(boxes=boxes)
            both = np.concatenate((truth.get_image(), found.get_image()), axis=1)
            get_event_storage().put_image(
                "Left: GT bounding boxes;  Right: Predicted proposals", both.transpose(2, 0, 1)
            )
            break


class PanopticFPN(OfConfig, modeling.PanopticFPN, metaclass=StandIn):
    """`lazycfg.modeling.PanopticFPN`, or of a config."""

    stands_for = modeling.PanopticFPN

    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Return the parts that a config asks for, built.

        Raises:
            ValueError: the losses of instances are to be weighed, which a config file in Python can say.
        """
        section = cfg.MODEL.PANOPTIC_FPN
        if section.INSTANCE_LOSS_WEIGHT != 1.0 or not section.COMBINE.ENABLED:
            raise ValueError(
                "MODEL.PANOPTIC_FPN.INSTANCE_LOSS_WEIGHT and COMBINE.ENABLED cannot be changed together with "
                "parts that this program registers; say `loss_weight` of the heads in a lazy config"
            )
        arguments = GeneralizedRCNN.from_config(cfg)
        shapes = arguments["backbone"].output_shape()
        return {
            **arguments,
            "sem_seg_head": registries.build_sem_seg_head(cfg, shapes),
            "combine_overlap_thresh": section.COMBINE.OVERLAP_THRESH,
            "combine_stuff_area_thresh": section.COMBINE.STUFF_AREA_LIMIT,
            "combine_instances_score_thresh": section.COMBINE.INSTANCES_CONFIDENCE_THRESH,
        }


class ProposalNetwork(OfConfig, modeling.ProposalNetwork, metaclass=StandIn):
    """`lazycfg.modeling.ProposalNetwork`, or of a config."""

    stands_for = modeling.ProposalNetwork

    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Return the parts that a config asks for, built."""
        backbone = registries.build_backbone(cfg)
        generator = registries.build_proposal_generator(cfg, backbone.output_shape())
        return {"backbone": backbone, "proposal_generator": generator, **_images(cfg)}


class SemanticSegmentor(OfConfig, modeling.SemanticSegmentor, metaclass=StandIn):
    """`lazycfg.modeling.SemanticSegmentor`, or of a config."""

    stands_for = modeling.SemanticSegmentor

    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Return the parts that a config asks for, built."""
        backbone = registries.build_backbone(cfg)
        head = registries.build_sem_seg_head(cfg, backbone.output_shape())
        return {"backbone": backbone, "sem_seg_head": head, **_images(cfg)}


class SemSegFPNHead(modeling.SemSegFPNHead, metaclass=StandIn):
    """`lazycfg.modeling.SemSegFPNHead`, or of ``(cfg, shapes of the maps by name)``."""

    stands_for = modeling.SemSegFPNHead

    @configurable
    def __init__(self, input_shape: Any, **kwargs: Any) -> None:
        super().__init__(input_shape=shapes_by_name(input_shape), **kwargs)

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for, on maps of shapes by name."""
        return arguments_of(fpn_head(keys_of(cfg), shapes_by_name(input_shape)))


class RetinaNet(OfConfig, modeling.RetinaNet, metaclass=StandIn):
    """`lazycfg.modeling.RetinaNet`, or of a config."""

    stands_for = modeling.RetinaNet
    changed = _DENSE

    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Return the parts that a config asks for, built."""
        section = cfg.MODEL.RETINANET
        backbone = registries.build_backbone(cfg)
        maps = backbone.output_shape()
        shapes = [maps[name] for name in section.IN_FEATURES]
        return {
            "backbone": backbone,
            "head": RetinaNetHead(cfg, shapes),
            "anchor_generator": registries.build_anchor_generator(cfg, shapes),
            "box2box_transform": instantiate(box_codec(section.BBOX_REG_WEIGHTS)),
            "anchor_matcher": instantiate(matcher(keys_of(cfg), "MODEL.RETINANET", low_quality=True)),
            "num_classes": section.NUM_CLASSES,
            "head_in_features": section.IN_FEATURES,
            "focal_loss_alpha": section.FOCAL_LOSS_ALPHA,
            "focal_loss_gamma": section.FOCAL_LOSS_GAMMA,
            "smooth_l1_beta": section.SMOOTH_L1_LOSS_BETA,
            "box_reg_loss_type": section.BBOX_REG_LOSS_TYPE,
            "test_score_thresh": section.SCORE_THRESH_TEST,
            "test_topk_candidates": section.TOPK_CANDIDATES_TEST,
            "test_nms_thresh": section.NMS_THRESH_TEST,
            "max_detections_per_image": cfg.TEST.DETECTIONS_PER_IMAGE,
            "vis_period": cfg.VIS_PERIOD,
            **_images(cfg),
        }


class RetinaNetHead(modeling.RetinaNetHead, metaclass=StandIn):
    """`lazycfg.modeling.RetinaNetHead`, or of ``(cfg, shapes of the maps)``."""

    stands_for = modeling.RetinaNetHead

    @configurable
    def __init__(self, *, input_shape: Any, **kwargs: Any) -> None:
        super().__init__(input_shape=input_shape, **kwargs)

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for, on maps of a list of shapes.

        Raises:
            ValueError: the maps have different numbers of anchors.
        """
        section = cfg.MODEL.RETINANET
        numbers = set(registries.build_anchor_generator(cfg, input_shape).num_anchors)
        if len(numbers) != 1:
            raise ValueError("using different numbers of anchors for the maps is not supported")
        return {
            "input_shape": input_shape,
            "num_classes": section.NUM_CLASSES,
            "conv_dims": [input_shape[0].channels] * section.NUM_CONVS,
            "prior_prob": section.PRIOR_PROB,
            "norm": section.NORM,
            "num_anchors": numbers.pop(),
        }
