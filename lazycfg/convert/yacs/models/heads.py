"""The parts of ROI heads: box heads and predictors, mask heads, keypoint heads."""

from __future__ import annotations

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.common import choose
from lazycfg.data import FederatedClassWeights
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import (
    FastRCNNConvFCHead,
    FastRCNNOutputLayers,
    KRCNNConvDeconvUpsampleHead,
    MaskRCNNConvUpsampleHead,
)

__all__ = ["box_head", "box_predictor", "keypoint_head", "mask_head"]

_BOX = "MODEL.ROI_BOX_HEAD"
_MASK = "MODEL.ROI_MASK_HEAD"
_KEYPOINT = "MODEL.ROI_KEYPOINT_HEAD"


def box_head(keys: Keys, channels: int) -> tuple[Any, ShapeSpec]:
    """Return the box head for regions of so many channels, and the shape of what it gives."""
    choose(keys, f"{_BOX}.NAME", {"FastRCNNConvFCHead": FastRCNNConvFCHead})
    side = keys(f"{_BOX}.POOLER_RESOLUTION")
    convs = [keys(f"{_BOX}.CONV_DIM") for _ in range(keys(f"{_BOX}.NUM_CONV"))]
    fcs = [keys(f"{_BOX}.FC_DIM") for _ in range(keys(f"{_BOX}.NUM_FC"))]
    if not convs and not fcs:
        raise keys.mistake(f"{_BOX}.NUM_FC", "a box head needs a layer", f"{_BOX}.NUM_FC 2")
    node = L(FastRCNNConvFCHead)(
        input_shape=ShapeSpec(channels=channels, height=side, width=side),
        conv_dims=convs,
        fc_dims=fcs,
        conv_norm=keys(f"{_BOX}.NORM"),
    )
    if fcs:
        return node, ShapeSpec(channels=fcs[-1])
    return node, ShapeSpec(channels=convs[-1], height=side, width=side)


def box_predictor(keys: Keys, shape: ShapeSpec, codec: Any, kind: Any = FastRCNNOutputLayers) -> Any:
    """Return the box predictor on features of a shape."""
    given = {
        "input_shape": shape,
        "test_score_thresh": keys("MODEL.ROI_HEADS.SCORE_THRESH_TEST"),
        "box2box_transform": codec,
        "num_classes": ref("..num_classes"),
        "test_nms_thresh": keys("MODEL.ROI_HEADS.NMS_THRESH_TEST"),
        "test_topk_per_image": keys("TEST.DETECTIONS_PER_IMAGE"),
        "cls_agnostic_bbox_reg": keys(f"{_BOX}.CLS_AGNOSTIC_BBOX_REG"),
        "smooth_l1_beta": keys(f"{_BOX}.SMOOTH_L1_BETA"),
        "box_reg_loss_type": keys(f"{_BOX}.BBOX_REG_LOSS_TYPE"),
        "use_sigmoid_ce": keys(f"{_BOX}.USE_SIGMOID_CE"),
    }
    weight = keys(f"{_BOX}.BBOX_REG_LOSS_WEIGHT")
    if weight != 1.0:
        given["loss_weight"] = {"loss_box_reg": weight}
    if keys(f"{_BOX}.USE_FED_LOSS"):
        given |= {
            "use_fed_loss": True,
            "fed_loss_num_classes": keys(f"{_BOX}.FED_LOSS_NUM_CLASSES"),
            "get_fed_loss_cls_weights": L(FederatedClassWeights)(
                json_file=ref(f"{_first_training_set(keys)}.json_file"),
                freq_weight_power=keys(f"{_BOX}.FED_LOSS_FREQ_WEIGHT_POWER"),
            ),
        }
    return L(kind)(**given)


def _first_training_set(keys: Keys) -> str:
    names = keys("DATASETS.TRAIN")
    if len(names) != 1:
        raise keys.mistake(
            "DATASETS.TRAIN", f"a federated loss needs one data set with frequencies, not {len(names)}"
        )
    filtered = keys("DATALOADER.FILTER_EMPTY_ANNOTATIONS")
    return f"dataloader.train.dataset{'.dataset' if filtered else ''}"


def mask_head(keys: Keys, shape: ShapeSpec, kind: Any = MaskRCNNConvUpsampleHead) -> Any:
    """Return the mask head of convolutions on regions of a shape."""
    classes = 1 if keys(f"{_MASK}.CLS_AGNOSTIC_MASK") else ref("..num_classes")
    return L(kind)(
        input_shape=shape,
        num_classes=classes,
        conv_dims=[keys(f"{_MASK}.CONV_DIM")] * (keys(f"{_MASK}.NUM_CONV") + 1),
        conv_norm=keys(f"{_MASK}.NORM"),
        vis_period=keys("VIS_PERIOD"),
    )


def keypoint_head(keys: Keys, channels: int) -> Any:
    """Return the keypoint head for regions of so many channels."""
    kind = choose(keys, f"{_KEYPOINT}.NAME", {"KRCNNConvDeconvUpsampleHead": KRCNNConvDeconvUpsampleHead})
    side, points = keys(f"{_KEYPOINT}.POOLER_RESOLUTION"), keys(f"{_KEYPOINT}.NUM_KEYPOINTS")
    normalizer: Any = "visible"
    if not keys(f"{_KEYPOINT}.NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS"):
        regions = keys("MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE") * keys("MODEL.ROI_HEADS.POSITIVE_FRACTION")
        normalizer = points * regions
    return L(kind)(
        input_shape=ShapeSpec(channels=channels, width=side, height=side),
        num_keypoints=points,
        conv_dims=list(keys(f"{_KEYPOINT}.CONV_DIMS")),
        loss_weight=keys(f"{_KEYPOINT}.LOSS_WEIGHT"),
        loss_normalizer=normalizer,
    )
