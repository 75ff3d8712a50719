"""Proposal generators and anchors that can be given a config."""

from __future__ import annotations

from typing import Any

from lazycfg import modeling
from lazycfg.config import instantiate
from lazycfg.convert.yacs.models.common import box_codec, matcher

from . import registries
from .building import keys_of
from .configurable import OfConfig, configurable
from .stand_in import StandIn

__all__ = ["RPN", "RRPN", "DefaultAnchorGenerator", "RotatedAnchorGenerator", "StandardRPNHead"]

_CHANGED = {
    "label_and_sample_anchors": "(anchors (A, 4), gt_instances, image_sizes) -> AnchorSamples",
    "losses": "(anchors, logits (B, A), deltas (B, A, 4), samples)",
    "predict_proposals": "(anchors, counts, logits, deltas, image_sizes)",
    "_subsample_labels": "labels (B, A) -> index, positive, negative (B, S)",
    "_decode_proposals": "override predict_proposals",
}


class DefaultAnchorGenerator(modeling.DefaultAnchorGenerator, metaclass=StandIn):
    """`lazycfg.modeling.DefaultAnchorGenerator`, or of ``(cfg, shapes of the maps)``."""

    stands_for = modeling.DefaultAnchorGenerator
    box_dim = 4

    @configurable
    def __init__(self, *, sizes: Any, aspect_ratios: Any, strides: Any, offset: float = 0.5) -> None:
        super().__init__(sizes=sizes, aspect_ratios=_plain(aspect_ratios), strides=strides, offset=offset)

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for, on maps of a list of shapes."""
        return {
            "sizes": cfg.MODEL.ANCHOR_GENERATOR.SIZES,
            "aspect_ratios": cfg.MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS,
            "strides": [x.stride for x in input_shape],
            "offset": cfg.MODEL.ANCHOR_GENERATOR.OFFSET,
        }

    @property
    def num_cell_anchors(self) -> list[int]:
        """Return the number of anchors at a place, of each map."""
        return self.num_anchors


class RotatedAnchorGenerator(modeling.RotatedAnchorGenerator, metaclass=StandIn):
    """`lazycfg.modeling.RotatedAnchorGenerator`, or of ``(cfg, shapes of the maps)``."""

    stands_for = modeling.RotatedAnchorGenerator
    box_dim = 5

    @configurable
    def __init__(
        self, *, sizes: Any, aspect_ratios: Any, strides: Any, angles: Any, offset: float = 0.5
    ) -> None:
        super().__init__(
            sizes=sizes,
            aspect_ratios=_plain(aspect_ratios),
            strides=strides,
            angles=_plain(angles),
            offset=offset,
        )

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for, on maps of a list of shapes."""
        return {
            **DefaultAnchorGenerator.from_config(cfg, input_shape),
            "angles": cfg.MODEL.ANCHOR_GENERATOR.ANGLES,
        }

    @property
    def num_cell_anchors(self) -> list[int]:
        """Return the number of anchors at a place, of each map."""
        return self.num_anchors


def _plain(values: Any) -> Any:
    """Return a list of one list as this list: the same for all maps."""
    return values[0] if len(values) == 1 and isinstance(values[0], list | tuple) else values


class StandardRPNHead(modeling.StandardRPNHead, metaclass=StandIn):
    """`lazycfg.modeling.StandardRPNHead`, or of ``(cfg, shapes of the maps)``."""

    stands_for = modeling.StandardRPNHead

    @configurable
    def __init__(
        self, *, in_channels: int, num_anchors: int, box_dim: int = 4, conv_dims: Any = (-1,)
    ) -> None:
        super().__init__(
            in_channels=in_channels, num_anchors=num_anchors, box_dim=box_dim, conv_dims=conv_dims
        )

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for, on maps of a list of shapes.

        Raises:
            ValueError: the maps differ in their channels, or in the number of anchors.
        """
        channels = {x.channels for x in input_shape}
        generator = registries.build_anchor_generator(cfg, input_shape)
        numbers = set(generator.num_anchors)
        if len(channels) != 1 or len(numbers) != 1:
            raise ValueError(
                "StandardRPNHead serves maps of one number of channels and of anchors, got "
                f"{sorted(channels)} "
                f"and {sorted(numbers)}"
            )
        return {
            "in_channels": channels.pop(),
            "num_anchors": numbers.pop(),
            "box_dim": getattr(generator, "box_dim", 4),
            "conv_dims": cfg.MODEL.RPN.CONV_DIMS,
        }


def _rpn_arguments(cfg: Any, input_shape: Any) -> dict[str, Any]:
    keys, section = keys_of(cfg), cfg.MODEL.RPN
    shapes = [input_shape[name] for name in section.IN_FEATURES]
    return {
        "in_features": section.IN_FEATURES,
        "min_box_size": cfg.MODEL.PROPOSAL_GENERATOR.MIN_SIZE,
        "nms_thresh": section.NMS_THRESH,
        "batch_size_per_image": section.BATCH_SIZE_PER_IMAGE,
        "positive_fraction": section.POSITIVE_FRACTION,
        "loss_weight": {
            "loss_rpn_cls": section.LOSS_WEIGHT,
            "loss_rpn_loc": section.BBOX_REG_LOSS_WEIGHT * section.LOSS_WEIGHT,
        },
        "anchor_boundary_thresh": section.BOUNDARY_THRESH,
        "box2box_transform": instantiate(box_codec(section.BBOX_REG_WEIGHTS)),
        "box_reg_loss_type": section.BBOX_REG_LOSS_TYPE,
        "smooth_l1_beta": section.SMOOTH_L1_BETA,
        "pre_nms_topk": (section.PRE_NMS_TOPK_TRAIN, section.PRE_NMS_TOPK_TEST),
        "post_nms_topk": (section.POST_NMS_TOPK_TRAIN, section.POST_NMS_TOPK_TEST),
        "anchor_generator": registries.build_anchor_generator(cfg, shapes),
        "anchor_matcher": instantiate(matcher(keys, "MODEL.RPN", low_quality=True)),
        "head": registries.build_rpn_head(cfg, shapes),
    }


class RPN(OfConfig, modeling.RPN, metaclass=StandIn):
    """`lazycfg.modeling.RPN`, or of ``(cfg, shapes of the maps by name)``."""

    stands_for = modeling.RPN
    changed = _CHANGED

    @configurable
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**_pairs(kwargs))

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for, on maps of shapes by name."""
        return _rpn_arguments(cfg, input_shape)


class RRPN(OfConfig, modeling.RRPN, metaclass=StandIn):
    """`lazycfg.modeling.RRPN`, or of ``(cfg, shapes of the maps by name)``."""

    stands_for = modeling.RRPN
    changed = _CHANGED

    @configurable
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**_pairs(kwargs))

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for, on maps of shapes by name."""
        codec = modeling.Box2BoxTransformRotated(weights=cfg.MODEL.RPN.BBOX_REG_WEIGHTS)
        return {**_rpn_arguments(cfg, input_shape), "box2box_transform": codec}


def _pairs(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments with the numbers of proposals as pairs, which may have come by mode."""
    for name in ("pre_nms_topk", "post_nms_topk"):
        if isinstance(arguments.get(name), dict):
            arguments[name] = (arguments[name][True], arguments[name][False])
    return arguments
