"""What the YAML files of detectron2's model zoo say. Facts; a file is written when its path is asked for."""

from __future__ import annotations

from typing import Any

__all__ = ["contents", "names"]

Keys = dict[str, Any]

_R50 = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
_R101 = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
_X101 = "detectron2://ImageNetPretrained/FAIR/X-101-32x8d.pkl"
_SCALES = (640, 672, 704, 736, 768, 800)
_P = ["p2", "p3", "p4", "p5"]
_RES = ["res2", "res3", "res4", "res5"]

_COMMON: Keys = {
    "DATASETS.TRAIN": ("coco_2017_train",),
    "DATASETS.TEST": ("coco_2017_val",),
    "SOLVER.IMS_PER_BATCH": 16,
    "SOLVER.BASE_LR": 0.02,
    "SOLVER.STEPS": (60000, 80000),
    "SOLVER.MAX_ITER": 90000,
    "INPUT.MIN_SIZE_TRAIN": _SCALES,
    "VERSION": 2,
}
_TWO_FCS: Keys = {
    "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
    "MODEL.ROI_BOX_HEAD.NUM_FC": 2,
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 7,
    "MODEL.ROI_MASK_HEAD.NAME": "MaskRCNNConvUpsampleHead",
    "MODEL.ROI_MASK_HEAD.NUM_CONV": 4,
    "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": 14,
}
_BASES: dict[str, Keys] = {
    "FPN": {
        **_COMMON,
        **_TWO_FCS,
        "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
        "MODEL.BACKBONE.NAME": "build_resnet_fpn_backbone",
        "MODEL.RESNETS.OUT_FEATURES": _RES,
        "MODEL.FPN.IN_FEATURES": _RES,
        "MODEL.ANCHOR_GENERATOR.SIZES": [[32], [64], [128], [256], [512]],
        "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [[0.5, 1.0, 2.0]],
        "MODEL.RPN.IN_FEATURES": [*_P, "p6"],
        "MODEL.RPN.PRE_NMS_TOPK_TRAIN": 2000,
        "MODEL.RPN.PRE_NMS_TOPK_TEST": 1000,
        "MODEL.RPN.POST_NMS_TOPK_TRAIN": 1000,
        "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
        "MODEL.ROI_HEADS.NAME": "StandardROIHeads",
        "MODEL.ROI_HEADS.IN_FEATURES": _P,
    },
    "C4": {
        **_COMMON,
        "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
        "MODEL.RPN.PRE_NMS_TOPK_TEST": 6000,
        "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
        "MODEL.ROI_HEADS.NAME": "Res5ROIHeads",
    },
    "DilatedC5": {
        **_COMMON,
        **_TWO_FCS,
        "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
        "MODEL.RESNETS.OUT_FEATURES": ["res5"],
        "MODEL.RESNETS.RES5_DILATION": 2,
        "MODEL.RPN.IN_FEATURES": ["res5"],
        "MODEL.RPN.PRE_NMS_TOPK_TEST": 6000,
        "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
        "MODEL.ROI_HEADS.NAME": "StandardROIHeads",
        "MODEL.ROI_HEADS.IN_FEATURES": ["res5"],
    },
    "RetinaNet": {
        **_COMMON,
        "MODEL.META_ARCHITECTURE": "RetinaNet",
        "MODEL.BACKBONE.NAME": "build_retinanet_resnet_fpn_backbone",
        "MODEL.RESNETS.OUT_FEATURES": ["res3", "res4", "res5"],
        "MODEL.ANCHOR_GENERATOR.SIZES": [
            [x, x * 2 ** (1.0 / 3), x * 2 ** (2.0 / 3)] for x in (32, 64, 128, 256, 512)
        ],
        "MODEL.FPN.IN_FEATURES": ["res3", "res4", "res5"],
        "MODEL.RETINANET.IOU_THRESHOLDS": [0.4, 0.5],
        "MODEL.RETINANET.IOU_LABELS": [0, -1, 1],
        "MODEL.RETINANET.SMOOTH_L1_LOSS_BETA": 0.0,
        "SOLVER.BASE_LR": 0.01,
    },
}
_BASES["Keypoint"] = {
    **_BASES["FPN"],
    "MODEL.KEYPOINT_ON": True,
    "MODEL.ROI_HEADS.NUM_CLASSES": 1,
    "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": 0.5,
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": 1500,
    "INPUT.MIN_SIZE_TRAIN": _SCALES,
    "DATASETS.TRAIN": ("keypoints_coco_2017_train",),
    "DATASETS.TEST": ("keypoints_coco_2017_val",),
}
_BASES["Panoptic"] = {
    **_BASES["FPN"],
    "MODEL.META_ARCHITECTURE": "PanopticFPN",
    "MODEL.MASK_ON": True,
    "MODEL.SEM_SEG_HEAD.LOSS_WEIGHT": 0.5,
    "DATASETS.TRAIN": ("coco_2017_train_panoptic_separated",),
    "DATASETS.TEST": ("coco_2017_val_panoptic_separated",),
    "DATALOADER.FILTER_EMPTY_ANNOTATIONS": False,
}

_BASE_FILES = {
    "Base-RCNN-FPN": _BASES["FPN"],
    "Base-RCNN-C4": _BASES["C4"],
    "Base-RCNN-DilatedC5": _BASES["DilatedC5"],
    "Base-RetinaNet": _BASES["RetinaNet"],
    "COCO-Keypoints/Base-Keypoint-RCNN-FPN": _BASES["Keypoint"],
    "COCO-PanopticSegmentation/Base-Panoptic-FPN": _BASES["Panoptic"],
}

_DEPTHS: dict[str, Keys] = {
    "R_50": {"MODEL.WEIGHTS": _R50, "MODEL.RESNETS.DEPTH": 50},
    "R_101": {"MODEL.WEIGHTS": _R101, "MODEL.RESNETS.DEPTH": 101},
    "X_101_32x8d": {
        "MODEL.WEIGHTS": _X101,
        "MODEL.PIXEL_STD": [57.375, 57.12, 58.395],
        "MODEL.RESNETS.DEPTH": 101,
        "MODEL.RESNETS.STRIDE_IN_1X1": False,
        "MODEL.RESNETS.NUM_GROUPS": 32,
        "MODEL.RESNETS.WIDTH_PER_GROUP": 8,
    },
}
_SCHEDULES: dict[str, Keys] = {
    "1x": {},
    "3x": {"SOLVER.STEPS": (210000, 250000), "SOLVER.MAX_ITER": 270000},
    "9x": {
        "SOLVER.IMS_PER_BATCH": 64,
        "SOLVER.BASE_LR": 0.08,
        "SOLVER.STEPS": (187500, 197500),
        "SOLVER.MAX_ITER": 202500,
        "TEST.EVAL_PERIOD": 2500,
    },
}


def _model(base: str, depth: str, schedule: str, **more: Any) -> Keys:
    given = {key.replace("__", "."): value for key, value in more.items()}
    return {**_BASES[base], **_DEPTHS[depth], **_SCHEDULES[schedule], **given}


_MASK = {"MODEL__MASK_ON": True}
_BOX = {"MODEL__MASK_ON": False}
_PROPOSALS_1X = {
    "DATASETS__PROPOSAL_FILES_TRAIN": (
        "detectron2://COCO-Detection/rpn_R_50_FPN_1x/137258492/coco_2017_train_box_proposals_21bc3a.pkl",
    ),
    "DATASETS__PROPOSAL_FILES_TEST": (
        "detectron2://COCO-Detection/rpn_R_50_FPN_1x/137258492/coco_2017_val_box_proposals_ee0dad.pkl",
    ),
}
_FILES: dict[str, Keys] = {}

for _kind, _base in (("C4", "C4"), ("DC5", "DilatedC5"), ("FPN", "FPN")):
    for _depth, _schedules in (("R_50", ("1x", "3x")), ("R_101", ("3x",)), ("X_101_32x8d", ("3x",))):
        for _schedule in _schedules if _depth[0] == "R" or _kind == "FPN" else ():
            _end = f"{_depth}_{_kind}_{_schedule}"
            _FILES[f"COCO-Detection/faster_rcnn_{_end}"] = _model(_base, _depth, _schedule, **_BOX)
            _FILES[f"COCO-InstanceSegmentation/mask_rcnn_{_end}"] = _model(_base, _depth, _schedule, **_MASK)
for _depth, _schedule in (("R_50", "1x"), ("R_50", "3x"), ("R_101", "3x"), ("X_101_32x8d", "3x")):
    _end = f"{_depth}_FPN_{_schedule}"
    _FILES[f"COCO-Keypoints/keypoint_rcnn_{_end}"] = _model("Keypoint", _depth, _schedule)
    if _depth[0] == "R":
        _FILES[f"COCO-Detection/retinanet_{_end}"] = _model("RetinaNet", _depth, _schedule)
        _FILES[f"COCO-PanopticSegmentation/panoptic_fpn_{_depth}_{_schedule}"] = _model(
            "Panoptic", _depth, _schedule
        )
_FILES["COCO-Detection/rpn_R_50_C4_1x"] = _model(
    "C4", "R_50", "1x", MODEL__META_ARCHITECTURE="ProposalNetwork", MODEL__RPN__PRE_NMS_TOPK_TEST=12000,
    MODEL__RPN__POST_NMS_TOPK_TEST=2000, **_BOX,
)  # fmt: skip
_FILES["COCO-Detection/rpn_R_50_FPN_1x"] = _model(
    "FPN", "R_50", "1x", MODEL__META_ARCHITECTURE="ProposalNetwork", MODEL__RPN__POST_NMS_TOPK_TEST=2000,
    **_BOX,
)  # fmt: skip
_FILES["COCO-Detection/fast_rcnn_R_50_FPN_1x"] = _model(
    "FPN", "R_50", "1x", MODEL__LOAD_PROPOSALS=True,
    MODEL__PROPOSAL_GENERATOR__NAME="PrecomputedProposals", DATALOADER__NUM_WORKERS=2,
    **_PROPOSALS_1X, **_BOX,
)  # fmt: skip
_FILES["COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x_giou"] = _model(
    "FPN", "R_50", "1x", MODEL__RPN__BBOX_REG_LOSS_TYPE="giou", MODEL__RPN__BBOX_REG_LOSS_WEIGHT=2.0,
    MODEL__ROI_BOX_HEAD__BBOX_REG_LOSS_TYPE="giou", MODEL__ROI_BOX_HEAD__BBOX_REG_LOSS_WEIGHT=10.0, **_MASK,
)  # fmt: skip

_LVIS_COMMON: dict[str, Any] = {
    "MODEL__ROI_HEADS__SCORE_THRESH_TEST": 0.0001,
    "TEST__DETECTIONS_PER_IMAGE": 300,
    "DATALOADER__SAMPLER_TRAIN": "RepeatFactorTrainingSampler",
    "DATALOADER__REPEAT_THRESHOLD": 0.001,
    **_MASK,
}
for _version, _classes, _steps, _last in (
    ("v0.5", 1230, (60000, 80000), 90000),
    ("v1", 1203, (120000, 160000), 180000),
):
    for _depth in _DEPTHS:
        _FILES[f"LVIS{_version}-InstanceSegmentation/mask_rcnn_{_depth}_FPN_1x"] = _model(
            "FPN", _depth, "1x", MODEL__ROI_HEADS__NUM_CLASSES=_classes,
            DATASETS__TRAIN=(f"lvis_{_version}_train",), DATASETS__TEST=(f"lvis_{_version}_val",),
            SOLVER__STEPS=_steps, SOLVER__MAX_ITER=_last, **_LVIS_COMMON,
        )  # fmt: skip

_FILES["Cityscapes/mask_rcnn_R_50_FPN"] = _model(
    "FPN", "R_50", "1x", MODEL__ROI_HEADS__NUM_CLASSES=8,
    MODEL__WEIGHTS="detectron2://COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x/137849600/model_final_f10217.pkl",
    INPUT__MIN_SIZE_TRAIN=(800, 832, 864, 896, 928, 960, 992, 1024), INPUT__MIN_SIZE_TRAIN_SAMPLING="choice",
    INPUT__MIN_SIZE_TEST=1024, INPUT__MAX_SIZE_TRAIN=2048, INPUT__MAX_SIZE_TEST=2048,
    DATASETS__TRAIN=("cityscapes_fine_instance_seg_train",),
    DATASETS__TEST=("cityscapes_fine_instance_seg_val",),
    SOLVER__BASE_LR=0.01, SOLVER__STEPS=(18000,), SOLVER__MAX_ITER=24000, SOLVER__IMS_PER_BATCH=8,
    TEST__EVAL_PERIOD=8000, **_MASK,
)  # fmt: skip
for _kind in ("C4", "FPN"):
    _FILES[f"PascalVOC-Detection/faster_rcnn_R_50_{_kind}"] = _model(
        _kind, "R_50", "1x", MODEL__ROI_HEADS__NUM_CLASSES=20,
        INPUT__MIN_SIZE_TRAIN=(480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800),
        INPUT__MIN_SIZE_TEST=800, DATASETS__TRAIN=("voc_2007_trainval", "voc_2012_trainval"),
        DATASETS__TEST=("voc_2007_test",), SOLVER__STEPS=(12000, 16000), SOLVER__MAX_ITER=18000,
        SOLVER__WARMUP_ITERS=100, **_BOX,
    )  # fmt: skip

_CASCADE: dict[str, Any] = {
    "MODEL__ROI_HEADS__NAME": "CascadeROIHeads",
    "MODEL__ROI_BOX_HEAD__CLS_AGNOSTIC_BBOX_REG": True,
    "MODEL__RPN__POST_NMS_TOPK_TRAIN": 2000,
    **_MASK,
}
_DCONV: dict[str, Any] = {
    "MODEL__RESNETS__DEFORM_ON_PER_STAGE": [False, True, True, True],
    "MODEL__RESNETS__DEFORM_MODULATED": False,
}
_GN: dict[str, Any] = {
    "MODEL__WEIGHTS": "detectron2://ImageNetPretrained/FAIR/R-50-GN.pkl",
    "MODEL__RESNETS__NORM": "GN",
    "MODEL__RESNETS__STRIDE_IN_1X1": False,
    "MODEL__FPN__NORM": "GN",
    "MODEL__ROI_BOX_HEAD__NAME": "FastRCNNConvFCHead",
    "MODEL__ROI_BOX_HEAD__NUM_CONV": 4,
    "MODEL__ROI_BOX_HEAD__NUM_FC": 1,
    "MODEL__ROI_BOX_HEAD__NORM": "GN",
    "MODEL__ROI_MASK_HEAD__NORM": "GN",
    **_MASK,
}
_FROM_SCRATCH: dict[str, Any] = {
    "MODEL__PIXEL_STD": [57.375, 57.12, 58.395],
    "MODEL__WEIGHTS": "",
    "MODEL__BACKBONE__FREEZE_AT": 0,
}
_MISC = {
    "cascade_mask_rcnn_R_50_FPN_1x": _model("FPN", "R_50", "1x", **_CASCADE),
    "cascade_mask_rcnn_R_50_FPN_3x": _model("FPN", "R_50", "3x", **_CASCADE),
    "mask_rcnn_R_50_FPN_1x_cls_agnostic": _model(
        "FPN", "R_50", "1x", MODEL__ROI_BOX_HEAD__CLS_AGNOSTIC_BBOX_REG=True,
        MODEL__ROI_MASK_HEAD__CLS_AGNOSTIC_MASK=True, **_MASK,
    ),
    "mask_rcnn_R_50_FPN_1x_dconv_c3-c5": _model("FPN", "R_50", "1x", **_DCONV, **_MASK),
    "mask_rcnn_R_50_FPN_3x_dconv_c3-c5": _model("FPN", "R_50", "3x", **_DCONV, **_MASK),
    "mask_rcnn_R_50_FPN_3x_gn": _model("FPN", "R_50", "3x", **_GN),
    "mask_rcnn_R_50_FPN_3x_syncbn": _model(
        "FPN", "R_50", "3x", MODEL__RESNETS__NORM="SyncBN", MODEL__RESNETS__STRIDE_IN_1X1=True,
        MODEL__FPN__NORM="SyncBN", MODEL__ROI_BOX_HEAD__NAME="FastRCNNConvFCHead",
        MODEL__ROI_BOX_HEAD__NUM_CONV=4, MODEL__ROI_BOX_HEAD__NUM_FC=1, MODEL__ROI_BOX_HEAD__NORM="SyncBN",
        MODEL__ROI_MASK_HEAD__NORM="SyncBN", TEST__PRECISE_BN__ENABLED=True, **_MASK,
    ),
    "scratch_mask_rcnn_R_50_FPN_3x_gn": _model("FPN", "R_50", "3x", **{**_GN, **_FROM_SCRATCH}),
    "scratch_mask_rcnn_R_50_FPN_9x_gn": _model("FPN", "R_50", "9x", **{**_GN, **_FROM_SCRATCH}),
    "semantic_R_50_FPN_1x": _model(
        "FPN", "R_50", "1x", MODEL__META_ARCHITECTURE="SemanticSegmentor",
        DATASETS__TRAIN=("coco_2017_train_panoptic_stuffonly",),
        DATASETS__TEST=("coco_2017_val_panoptic_stuffonly",),
    ),
}  # fmt: skip
_FILES |= {f"Misc/{name}": keys for name, keys in _MISC.items()}


def names() -> list[str]:
    """Return the names of the files, such as ``COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml``; but for those
    that others extend.
    """
    return sorted(f"{name}.yaml" for name in _FILES)


def contents(name: str) -> dict[str, Any] | None:
    """Return the keys of a file, nested; None where its contents are not known here."""
    stem = name.removesuffix(".yaml")
    flat = _FILES.get(stem, _BASE_FILES.get(stem))
    if flat is None:
        return None
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        node = nested
        *above, last = key.split(".")
        for part in above:
            node = node.setdefault(part, {})
        node[last] = value
    return nested
