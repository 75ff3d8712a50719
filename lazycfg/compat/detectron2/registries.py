"""The registries of detectron2 and the functions that build by them."""

from __future__ import annotations

from typing import Any

from torch import nn

from lazycfg.layers import ShapeSpec

from .registry import Registry

__all__ = [
    "ANCHOR_GENERATOR_REGISTRY",
    "BACKBONE_REGISTRY",
    "META_ARCH_REGISTRY",
    "PROPOSAL_GENERATOR_REGISTRY",
    "ROI_BOX_HEAD_REGISTRY",
    "ROI_HEADS_REGISTRY",
    "ROI_KEYPOINT_HEAD_REGISTRY",
    "ROI_MASK_HEAD_REGISTRY",
    "RPN_HEAD_REGISTRY",
    "SEM_SEG_HEADS_REGISTRY",
    "build_anchor_generator",
    "build_backbone",
    "build_box_head",
    "build_keypoint_head",
    "build_mask_head",
    "build_model",
    "build_proposal_generator",
    "build_roi_heads",
    "build_rpn_head",
    "build_sem_seg_head",
]

_HERE = __name__.rpartition(".")[0]


def _registry(name: str, module: str, names: str) -> Registry:
    registry = Registry(name)
    registry.answer({each: f"{_HERE}.{module}:{each}" for each in names.split()})
    return registry


BACKBONE_REGISTRY = _registry(
    "BACKBONE",
    "backbones",
    "build_resnet_backbone build_resnet_deeplab_backbone build_resnet_fpn_backbone "
    "build_retinanet_resnet_fpn_backbone",
)
META_ARCH_REGISTRY = _registry(
    "META_ARCH", "meta_arch", "GeneralizedRCNN PanopticFPN ProposalNetwork RetinaNet SemanticSegmentor"
)
PROPOSAL_GENERATOR_REGISTRY = _registry("PROPOSAL_GENERATOR", "proposals", "RPN RRPN")
RPN_HEAD_REGISTRY = _registry("RPN_HEAD", "proposals", "StandardRPNHead")
ANCHOR_GENERATOR_REGISTRY = _registry(
    "ANCHOR_GENERATOR", "proposals", "DefaultAnchorGenerator RotatedAnchorGenerator"
)
ROI_HEADS_REGISTRY = _registry(
    "ROI_HEADS", "roi_heads", "CascadeROIHeads RROIHeads Res5ROIHeads StandardROIHeads"
)
ROI_HEADS_REGISTRY.answer({"PointRendROIHeads": f"{_HERE}.roi_heads:StandardROIHeads"})
ROI_BOX_HEAD_REGISTRY = _registry("ROI_BOX_HEAD", "box_heads", "FastRCNNConvFCHead")
ROI_MASK_HEAD_REGISTRY = _registry("ROI_MASK_HEAD", "box_heads", "MaskRCNNConvUpsampleHead")
ROI_KEYPOINT_HEAD_REGISTRY = _registry("ROI_KEYPOINT_HEAD", "box_heads", "KRCNNConvDeconvUpsampleHead")
SEM_SEG_HEADS_REGISTRY = _registry("SEM_SEG_HEADS", "meta_arch", "SemSegFPNHead")
SEM_SEG_HEADS_REGISTRY.answer(
    dict.fromkeys(
        ("DeepLabV3Head", "DeepLabV3PlusHead", "PointRendSemSegHead"),
        f"{_HERE}.building:translated_sem_seg_head",
    )
)

OF_KEY = {
    "MODEL.META_ARCHITECTURE": META_ARCH_REGISTRY,
    "MODEL.BACKBONE.NAME": BACKBONE_REGISTRY,
    "MODEL.PROPOSAL_GENERATOR.NAME": PROPOSAL_GENERATOR_REGISTRY,
    "MODEL.RPN.HEAD_NAME": RPN_HEAD_REGISTRY,
    "MODEL.ANCHOR_GENERATOR.NAME": ANCHOR_GENERATOR_REGISTRY,
    "MODEL.ROI_HEADS.NAME": ROI_HEADS_REGISTRY,
    "MODEL.ROI_BOX_HEAD.NAME": ROI_BOX_HEAD_REGISTRY,
    "MODEL.ROI_MASK_HEAD.NAME": ROI_MASK_HEAD_REGISTRY,
    "MODEL.ROI_KEYPOINT_HEAD.NAME": ROI_KEYPOINT_HEAD_REGISTRY,
    "MODEL.SEM_SEG_HEAD.NAME": SEM_SEG_HEADS_REGISTRY,
}
"""Which registry a key of a config takes its name from."""


def build_model(cfg: Any) -> nn.Module:
    """Build the model that a config names, on ``cfg.MODEL.DEVICE``; no weights are loaded.

    Raises:
        KeyError: a part has a name that nobody registered.
        ConvertError: a key has a value that cannot be translated.
    """
    from .building import whole_model

    model: nn.Module = whole_model(cfg)
    return model.to(cfg.MODEL.DEVICE)


def build_backbone(cfg: Any, input_shape: ShapeSpec | None = None) -> Any:
    """Build the backbone that a config names.

    Raises:
        TypeError: what the registered function gives is no `Backbone`.
    """
    from lazycfg.modeling import Backbone

    if input_shape is None:
        input_shape = ShapeSpec(channels=len(cfg.MODEL.PIXEL_MEAN))
    backbone = BACKBONE_REGISTRY.get(cfg.MODEL.BACKBONE.NAME)(cfg, input_shape)
    if not isinstance(backbone, Backbone):
        raise TypeError(f"{cfg.MODEL.BACKBONE.NAME} gives a {type(backbone).__name__}, expected a Backbone")
    return backbone


def build_proposal_generator(cfg: Any, input_shape: Any) -> Any:
    """Build the proposal generator that a config names; None for ``PrecomputedProposals``."""
    name = cfg.MODEL.PROPOSAL_GENERATOR.NAME
    if name == "PrecomputedProposals":
        return None
    return PROPOSAL_GENERATOR_REGISTRY.get(name)(cfg, input_shape)


def build_rpn_head(cfg: Any, input_shape: Any) -> Any:
    """Build the head of the RPN that a config names, for maps of a list of shapes."""
    return RPN_HEAD_REGISTRY.get(cfg.MODEL.RPN.HEAD_NAME)(cfg, input_shape)


def build_anchor_generator(cfg: Any, input_shape: Any) -> Any:
    """Build the anchor generator that a config names, for maps of a list of shapes."""
    return ANCHOR_GENERATOR_REGISTRY.get(cfg.MODEL.ANCHOR_GENERATOR.NAME)(cfg, input_shape)


def build_roi_heads(cfg: Any, input_shape: Any) -> Any:
    """Build the heads on regions that a config names, for maps of shapes by name."""
    return ROI_HEADS_REGISTRY.get(cfg.MODEL.ROI_HEADS.NAME)(cfg, input_shape)


def build_box_head(cfg: Any, input_shape: Any) -> Any:
    """Build the box head that a config names, for regions of a shape."""
    return ROI_BOX_HEAD_REGISTRY.get(cfg.MODEL.ROI_BOX_HEAD.NAME)(cfg, input_shape)


def build_mask_head(cfg: Any, input_shape: Any) -> Any:
    """Build the mask head that a config names, for regions of a shape."""
    return ROI_MASK_HEAD_REGISTRY.get(cfg.MODEL.ROI_MASK_HEAD.NAME)(cfg, input_shape)


def build_keypoint_head(cfg: Any, input_shape: Any) -> Any:
    """Build the keypoint head that a config names, for regions of a shape."""
    return ROI_KEYPOINT_HEAD_REGISTRY.get(cfg.MODEL.ROI_KEYPOINT_HEAD.NAME)(cfg, input_shape)


def build_sem_seg_head(cfg: Any, input_shape: Any) -> Any:
    """Build the head for semantic segmentation that a config names, for maps of shapes by name."""
    return SEM_SEG_HEADS_REGISTRY.get(cfg.MODEL.SEM_SEG_HEAD.NAME)(cfg, input_shape)
