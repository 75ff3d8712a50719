"""Which models have a graph of fixed shapes."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from lazycfg.modeling import (
    FCOS,
    RPN,
    CascadeROIHeads,
    FastRCNNOutputLayers,
    GeneralizedRCNN,
    Res5ROIHeads,
    RetinaNet,
    StandardROIHeads,
)
from lazycfg.modeling.meta_arch.dense_detector import DenseDetector
from lazycfg.modeling.meta_arch.rcnn import ImageModel
from lazycfg.modeling.roi_heads.keypoint_head import BaseKeypointRCNNHead
from lazycfg.modeling.roi_heads.mask_head import BaseMaskRCNNHead

from .graph import keypoint_on

__all__ = ["refusal"]

# The methods that the graph does not call: it does in their place what they do in these classes.
REPLACED: dict[type, str] = {
    ImageModel: "preprocess_image",
    DenseDetector: "forward postprocess inference_single_image detect_images detect_batch",
    RetinaNet: "forward_inference",
    FCOS: "forward_inference",
    GeneralizedRCNN: "forward inference detect propose _postprocess",
    RPN: "forward propose_and_sample predict_proposals",
    StandardROIHeads: "forward _forward_box _forward_keypoint",
    CascadeROIHeads: "forward _forward_box",
    Res5ROIHeads: "forward",
    FastRCNNOutputLayers: "inference",
    BaseMaskRCNNHead: "forward",
    BaseKeypointRCNNHead: "forward",
}


def refusal(model: Any) -> str | None:
    """Return why a model cannot be exported; None if it can."""
    if not isinstance(model, (RetinaNet, FCOS, GeneralizedRCNN)):
        inner = getattr(model, "model", None)
        if isinstance(inner, nn.Module) and refusal(inner) is None:
            return f"{type(model).__name__} runs a model several times: export the one inside, model.model"
        return f"{type(model).__name__} is none of RetinaNet, FCOS and GeneralizedRCNN"
    reasons = _of_two_stages(model) if isinstance(model, GeneralizedRCNN) else _of_dense(model)
    return next(reasons, None)


def _of_dense(model: Any) -> Iterator[str]:
    yield from _overridden(model, "model")
    yield from _without_limit(model.max_detections_per_image, "model.max_detections_per_image")


def _of_two_stages(model: Any) -> Iterator[str]:
    if hasattr(model, "sem_seg_head"):
        yield "a panoptic model merges its instances with a map of classes on the host"
    yield from _overridden(model, "model")
    rpn, heads = model.proposal_generator, model.roi_heads
    if not isinstance(rpn, RPN):
        yield f"model.proposal_generator is a {type(rpn).__name__}, not an RPN"
    yield from _overridden(rpn, "model.proposal_generator")
    if not isinstance(heads, (StandardROIHeads, Res5ROIHeads)):
        yield f"model.roi_heads is a {type(heads).__name__}, not StandardROIHeads or Res5ROIHeads"
    predictors = (
        heads.box_predictor if isinstance(heads.box_predictor, nn.ModuleList) else [heads.box_predictor]
    )
    for predictor in predictors:
        if not isinstance(predictor, FastRCNNOutputLayers):
            yield f"a box predictor is a {type(predictor).__name__}, not FastRCNNOutputLayers"
        if predictor.box_dim != 4:
            yield "its boxes are rotated ones"
        yield from _overridden(predictor, "its box predictor")
    yield from _overridden(heads, "model.roi_heads")
    if heads.mask_on:
        if not isinstance(heads.mask_head, BaseMaskRCNNHead) or getattr(heads, "mask_pooler", 1) is None:
            yield f"model.roi_heads.mask_head is a {type(heads.mask_head).__name__}, which pools for itself"
        yield from _overridden(heads.mask_head, "model.roi_heads.mask_head")
    if keypoint_on(heads):
        if not isinstance(heads.keypoint_head, BaseKeypointRCNNHead) or heads.keypoint_pooler is None:
            kind = type(heads.keypoint_head).__name__
            yield f"model.roi_heads.keypoint_head is a {kind}, which pools for itself"
        yield from _overridden(heads.keypoint_head, "model.roi_heads.keypoint_head")
    yield from _without_limit(
        predictors[-1].test_topk_per_image, "model.roi_heads.box_predictor.test_topk_per_image"
    )


def _overridden(part: Any, path: str) -> Iterator[str]:
    """Tell of a method of another class in the place of one that the graph does not call."""
    for base, names in REPLACED.items():
        if not isinstance(part, base):
            continue
        for name in names.split():
            known = [getattr(cls, name) for cls in REPLACED if name in vars(cls)]
            if getattr(type(part), name) not in known:
                yield f"{path} is a {type(part).__name__} with a {name} of its own, which would not be called"


def _without_limit(number: int, path: str) -> Iterator[str]:
    if number <= 0:
        yield f"{path}={number} is no limit, and the outputs have a fixed size: set it to 100, say"
