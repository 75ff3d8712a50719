"""The configs of detectron2 and its projects, as facts: by name the base and the keys that are set over it.

`${...}` in a value: none. Lists stand for tuples where detectron2 has these.
"""

R50 = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
R101 = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
X101 = "detectron2://ImageNetPretrained/FAIR/X-101-32x8d.pkl"
THREE = {"SOLVER.STEPS": [210000, 250000], "SOLVER.MAX_ITER": 270000}
DEPTH_101 = {"MODEL.WEIGHTS": R101, "MODEL.RESNETS.DEPTH": 101}
RESNEXT = {
    "MODEL.WEIGHTS": X101,
    "MODEL.PIXEL_STD": [57.375, 57.12, 58.395],
    "MODEL.RESNETS.STRIDE_IN_1X1": False,
    "MODEL.RESNETS.NUM_GROUPS": 32,
    "MODEL.RESNETS.WIDTH_PER_GROUP": 8,
    "MODEL.RESNETS.DEPTH": 101,
}
COCO = {"DATASETS.TRAIN": ["coco_2017_train"], "DATASETS.TEST": ["coco_2017_val"]}
ONE = {
    "SOLVER.IMS_PER_BATCH": 16,
    "SOLVER.BASE_LR": 0.02,
    "SOLVER.STEPS": [60000, 80000],
    "SOLVER.MAX_ITER": 90000,
}
SIZES = {"INPUT.MIN_SIZE_TRAIN": [640, 672, 704, 736, 768, 800]}
FPN_LEVELS = ["res2", "res3", "res4", "res5"]
P2_TO_P5 = ["p2", "p3", "p4", "p5"]
MASK = {"MODEL.MASK_ON": True}
NO_MASK = {"MODEL.MASK_ON": False}
START = {"MODEL.WEIGHTS": R50}
DETECTRON1 = {
    "MODEL.RPN.SMOOTH_L1_BETA": 0.1111,
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": 2,
    "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": 1.0,
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIAlign",
}
LVIS = {
    "TEST.DETECTIONS_PER_IMAGE": 300,
    "DATALOADER.SAMPLER_TRAIN": "RepeatFactorTrainingSampler",
    "DATALOADER.REPEAT_THRESHOLD": 0.001,
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": 0.0001,
    **MASK,
    **START,
}
CITYSCAPES_SIZES = {
    "INPUT.MIN_SIZE_TRAIN": [800, 832, 864, 896, 928, 960, 992, 1024],
    "INPUT.MIN_SIZE_TEST": 1024,
    "INPUT.MAX_SIZE_TRAIN": 2048,
    "INPUT.MAX_SIZE_TEST": 2048,
}
CITYSCAPES_SCHEDULE = {
    "SOLVER.BASE_LR": 0.01,
    "SOLVER.STEPS": [18000],
    "SOLVER.MAX_ITER": 24000,
    "SOLVER.IMS_PER_BATCH": 8,
}
CONV_BOX_HEAD = {"MODEL.ROI_BOX_HEAD.NUM_CONV": 4, "MODEL.ROI_BOX_HEAD.NUM_FC": 1}
DEFORM = {"MODEL.RESNETS.DEFORM_ON_PER_STAGE": [False, True, True, True]}


def normed(norm, *parts):
    return {f"MODEL.{part}.NORM": norm for part in parts}


DETECTION, MASKS, MISC = "COCO-Detection/", "COCO-InstanceSegmentation/", "Misc/"

CONFIGS = {
    "Base-RCNN-FPN": (
        None,
        {
            "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
            "MODEL.BACKBONE.NAME": "build_resnet_fpn_backbone",
            "MODEL.RESNETS.OUT_FEATURES": FPN_LEVELS,
            "MODEL.FPN.IN_FEATURES": FPN_LEVELS,
            "MODEL.ANCHOR_GENERATOR.SIZES": [[32], [64], [128], [256], [512]],
            "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [[0.5, 1.0, 2.0]],
            "MODEL.RPN.IN_FEATURES": [*P2_TO_P5, "p6"],
            "MODEL.RPN.PRE_NMS_TOPK_TRAIN": 2000,
            "MODEL.RPN.PRE_NMS_TOPK_TEST": 1000,
            "MODEL.RPN.POST_NMS_TOPK_TRAIN": 1000,
            "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
            "MODEL.ROI_HEADS.NAME": "StandardROIHeads",
            "MODEL.ROI_HEADS.IN_FEATURES": P2_TO_P5,
            "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
            "MODEL.ROI_BOX_HEAD.NUM_FC": 2,
            "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 7,
            "MODEL.ROI_MASK_HEAD.NAME": "MaskRCNNConvUpsampleHead",
            "MODEL.ROI_MASK_HEAD.NUM_CONV": 4,
            "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": 14,
            **COCO,
            **ONE,
            **SIZES,
            "VERSION": 2,
        },
    ),
    "Base-RCNN-C4": (
        None,
        {
            "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
            "MODEL.RPN.PRE_NMS_TOPK_TEST": 6000,
            "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
            "MODEL.ROI_HEADS.NAME": "Res5ROIHeads",
            **COCO,
            **ONE,
            **SIZES,
            "VERSION": 2,
        },
    ),
    "Base-RCNN-DilatedC5": (
        None,
        {
            "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
            "MODEL.RESNETS.OUT_FEATURES": ["res5"],
            "MODEL.RESNETS.RES5_DILATION": 2,
            "MODEL.RPN.IN_FEATURES": ["res5"],
            "MODEL.RPN.PRE_NMS_TOPK_TEST": 6000,
            "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
            "MODEL.ROI_HEADS.NAME": "StandardROIHeads",
            "MODEL.ROI_HEADS.IN_FEATURES": ["res5"],
            "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
            "MODEL.ROI_BOX_HEAD.NUM_FC": 2,
            "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 7,
            "MODEL.ROI_MASK_HEAD.NAME": "MaskRCNNConvUpsampleHead",
            "MODEL.ROI_MASK_HEAD.NUM_CONV": 4,
            "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": 14,
            **COCO,
            **ONE,
            **SIZES,
            "VERSION": 2,
        },
    ),
    "Base-RetinaNet": (
        None,
        {
            "MODEL.META_ARCHITECTURE": "RetinaNet",
            "MODEL.BACKBONE.NAME": "build_retinanet_resnet_fpn_backbone",
            "MODEL.RESNETS.OUT_FEATURES": ["res3", "res4", "res5"],
            "MODEL.ANCHOR_GENERATOR.SIZES": (
                "!!python/object/apply:eval",
                "[[x, x * 2**(1.0/3), x * 2**(2.0/3) ] for x in [32, 64, 128, 256, 512 ]]",
            ),
            "MODEL.FPN.IN_FEATURES": ["res3", "res4", "res5"],
            "MODEL.RETINANET.IOU_THRESHOLDS": [0.4, 0.5],
            "MODEL.RETINANET.IOU_LABELS": [0, -1, 1],
            "MODEL.RETINANET.SMOOTH_L1_LOSS_BETA": 0.0,
            **COCO,
            **ONE,
            "SOLVER.BASE_LR": 0.01,
            **SIZES,
            "VERSION": 2,
        },
    ),
    "Base-Panoptic-FPN": (
        "Base-RCNN-FPN",
        {
            "MODEL.META_ARCHITECTURE": "PanopticFPN",
            **MASK,
            "MODEL.SEM_SEG_HEAD.LOSS_WEIGHT": 0.5,
            "DATASETS.TRAIN": ["coco_2017_train_panoptic_separated"],
            "DATASETS.TEST": ["coco_2017_val_panoptic_separated"],
            "DATALOADER.FILTER_EMPTY_ANNOTATIONS": False,
        },
    ),
    "Base-Keypoint-RCNN-FPN": (
        "Base-RCNN-FPN",
        {
            "MODEL.KEYPOINT_ON": True,
            "MODEL.ROI_HEADS.NUM_CLASSES": 1,
            "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": 0.5,
            "MODEL.RPN.POST_NMS_TOPK_TRAIN": 1500,
            "DATASETS.TRAIN": ["keypoints_coco_2017_train"],
            "DATASETS.TEST": ["keypoints_coco_2017_val"],
        },
    ),
    DETECTION + "fast_rcnn_R_50_FPN_1x": (
        "Base-RCNN-FPN",
        {
            **START,
            **NO_MASK,
            "MODEL.LOAD_PROPOSALS": True,
            "MODEL.RESNETS.DEPTH": 50,
            "MODEL.PROPOSAL_GENERATOR.NAME": "PrecomputedProposals",
            "DATASETS.PROPOSAL_FILES_TRAIN": [
                "detectron2://COCO-Detection/rpn_R_50_FPN_1x/137258492/coco_2017_train_box_proposals_21bc3a.pkl"
            ],
            "DATASETS.PROPOSAL_FILES_TEST": [
                "detectron2://COCO-Detection/rpn_R_50_FPN_1x/137258492/coco_2017_val_box_proposals_ee0dad.pkl"
            ],
            "DATALOADER.NUM_WORKERS": 2,
        },
    ),
    **{
        f"{DETECTION}faster_rcnn_R_{depth}_{kind}_{times}x": (
            base,
            {**START, **NO_MASK, **(DEPTH_101 if depth == 101 else {}), **(THREE if times == 3 else {})},
        )
        for kind, base in (("C4", "Base-RCNN-C4"), ("DC5", "Base-RCNN-DilatedC5"), ("FPN", "Base-RCNN-FPN"))
        for depth, times in ((50, 1), (50, 3), (101, 3))
    },
    DETECTION + "faster_rcnn_X_101_32x8d_FPN_3x": ("Base-RCNN-FPN", {**NO_MASK, **RESNEXT, **THREE}),
    DETECTION + "retinanet_R_50_FPN_1x": ("Base-RetinaNet", START),
    DETECTION + "retinanet_R_50_FPN_3x": ("Base-RetinaNet", {**START, **THREE}),
    DETECTION + "retinanet_R_101_FPN_3x": ("Base-RetinaNet", {**DEPTH_101, **THREE}),
    DETECTION + "rpn_R_50_C4_1x": (
        "Base-RCNN-C4",
        {
            "MODEL.META_ARCHITECTURE": "ProposalNetwork",
            **START,
            **NO_MASK,
            "MODEL.RPN.PRE_NMS_TOPK_TEST": 12000,
            "MODEL.RPN.POST_NMS_TOPK_TEST": 2000,
        },
    ),
    DETECTION + "rpn_R_50_FPN_1x": (
        "Base-RCNN-FPN",
        {
            "MODEL.META_ARCHITECTURE": "ProposalNetwork",
            **START,
            **NO_MASK,
            "MODEL.RPN.POST_NMS_TOPK_TEST": 2000,
        },
    ),
    **{
        f"{MASKS}mask_rcnn_R_{depth}_{kind}_{times}x": (
            base,
            {**START, **MASK, **(DEPTH_101 if depth == 101 else {}), **(THREE if times == 3 else {})},
        )
        for kind, base in (("C4", "Base-RCNN-C4"), ("DC5", "Base-RCNN-DilatedC5"), ("FPN", "Base-RCNN-FPN"))
        for depth, times in ((50, 1), (50, 3), (101, 3))
    },
    MASKS + "mask_rcnn_R_50_FPN_1x_giou": (
        "Base-RCNN-FPN",
        {
            **START,
            **MASK,
            "MODEL.RPN.BBOX_REG_LOSS_TYPE": "giou",
            "MODEL.RPN.BBOX_REG_LOSS_WEIGHT": 2.0,
            "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_TYPE": "giou",
            "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_WEIGHT": 10.0,
        },
    ),
    MASKS + "mask_rcnn_X_101_32x8d_FPN_3x": ("Base-RCNN-FPN", {**MASK, **RESNEXT, **THREE}),
    "COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x": ("Base-Keypoint-RCNN-FPN", START),
    "COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x": ("Base-Keypoint-RCNN-FPN", {**START, **THREE}),
    "COCO-Keypoints/keypoint_rcnn_R_101_FPN_3x": ("Base-Keypoint-RCNN-FPN", {**DEPTH_101, **THREE}),
    "COCO-Keypoints/keypoint_rcnn_X_101_32x8d_FPN_3x": ("Base-Keypoint-RCNN-FPN", {**RESNEXT, **THREE}),
    "COCO-PanopticSegmentation/panoptic_fpn_R_50_1x": ("Base-Panoptic-FPN", START),
    "COCO-PanopticSegmentation/panoptic_fpn_R_50_3x": ("Base-Panoptic-FPN", {**START, **THREE}),
    "COCO-PanopticSegmentation/panoptic_fpn_R_101_3x": ("Base-Panoptic-FPN", {**DEPTH_101, **THREE}),
    "Cityscapes/mask_rcnn_R_50_FPN": (
        "Base-RCNN-FPN",
        {
            "MODEL.WEIGHTS": "detectron2://COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x/137849600/"
            "model_final_f10217.pkl",
            **MASK,
            "MODEL.ROI_HEADS.NUM_CLASSES": 8,
            **CITYSCAPES_SIZES,
            "DATASETS.TRAIN": ["cityscapes_fine_instance_seg_train"],
            "DATASETS.TEST": ["cityscapes_fine_instance_seg_val"],
            **CITYSCAPES_SCHEDULE,
            "TEST.EVAL_PERIOD": 8000,
        },
    ),
    "Detectron1-Comparisons/faster_rcnn_R_50_FPN_noaug_1x": (
        "Base-RCNN-FPN",
        {**START, **NO_MASK, **DETECTRON1, "INPUT.MIN_SIZE_TRAIN": [800]},
    ),
    "Detectron1-Comparisons/keypoint_rcnn_R_50_FPN_1x": (
        "Base-RCNN-FPN",
        {
            **START,
            "MODEL.KEYPOINT_ON": True,
            "MODEL.ROI_HEADS.NUM_CLASSES": 1,
            "MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION": 14,
            "MODEL.ROI_KEYPOINT_HEAD.POOLER_SAMPLING_RATIO": 2,
            "MODEL.ROI_KEYPOINT_HEAD.POOLER_TYPE": "ROIAlign",
            **DETECTRON1,
            "MODEL.RPN.POST_NMS_TOPK_TRAIN": 1500,
            "DATASETS.TRAIN": ["keypoints_coco_2017_train"],
            "DATASETS.TEST": ["keypoints_coco_2017_val"],
        },
    ),
    "Detectron1-Comparisons/mask_rcnn_R_50_FPN_noaug_1x": (
        "Base-RCNN-FPN",
        {
            **START,
            **MASK,
            **DETECTRON1,
            "MODEL.ROI_MASK_HEAD.POOLER_SAMPLING_RATIO": 2,
            "MODEL.ROI_MASK_HEAD.POOLER_TYPE": "ROIAlign",
            "INPUT.MIN_SIZE_TRAIN": [800],
        },
    ),
    **{
        f"LVIS{folder}-InstanceSegmentation/mask_rcnn_{trunk}_FPN_1x": (
            "Base-RCNN-FPN",
            {
                **LVIS,
                "MODEL.ROI_HEADS.NUM_CLASSES": classes,
                "DATASETS.TRAIN": [f"lvis_{version}_train"],
                "DATASETS.TEST": [f"lvis_{version}_val"],
                **more,
                **schedule,
            },
        )
        for folder, version, classes, schedule in (
            ("v0.5", "v0.5", 1230, {}),
            ("v1", "v1", 1203, {"SOLVER.STEPS": [120000, 160000], "SOLVER.MAX_ITER": 180000}),
        )
        for trunk, more in (("R_50", {}), ("R_101", DEPTH_101), ("X_101_32x8d", RESNEXT))
    },
    "PascalVOC-Detection/faster_rcnn_R_50_C4": (
        "Base-RCNN-C4",
        {
            **START,
            **NO_MASK,
            "MODEL.ROI_HEADS.NUM_CLASSES": 20,
            "INPUT.MIN_SIZE_TRAIN": [480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800],
            "DATASETS.TRAIN": ["voc_2007_trainval", "voc_2012_trainval"],
            "DATASETS.TEST": ["voc_2007_test"],
            "SOLVER.STEPS": [12000, 16000],
            "SOLVER.MAX_ITER": 18000,
            "SOLVER.WARMUP_ITERS": 100,
        },
    ),
    "PascalVOC-Detection/faster_rcnn_R_50_FPN": (
        "Base-RCNN-FPN",
        {
            **START,
            **NO_MASK,
            "MODEL.ROI_HEADS.NUM_CLASSES": 20,
            "INPUT.MIN_SIZE_TRAIN": [480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800],
            "DATASETS.TRAIN": ["voc_2007_trainval", "voc_2012_trainval"],
            "DATASETS.TEST": ["voc_2007_test"],
            "SOLVER.STEPS": [12000, 16000],
            "SOLVER.MAX_ITER": 18000,
            "SOLVER.WARMUP_ITERS": 100,
        },
    ),
    **{
        f"{MISC}cascade_mask_rcnn_R_50_FPN_{times}x": (
            "Base-RCNN-FPN",
            {
                **START,
                **MASK,
                "MODEL.ROI_HEADS.NAME": "CascadeROIHeads",
                "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": True,
                "MODEL.RPN.POST_NMS_TOPK_TRAIN": 2000,
                **(THREE if times == 3 else {}),
            },
        )
        for times in (1, 3)
    },
    MISC + "cascade_mask_rcnn_X_152_32x8d_FPN_IN5k_gn_dconv": (
        "Base-RCNN-FPN",
        {
            "MODEL.WEIGHTS": "catalog://ImageNetPretrained/FAIR/X-152-32x8d-IN5k",
            **MASK,
            "MODEL.RESNETS.STRIDE_IN_1X1": False,
            "MODEL.RESNETS.NUM_GROUPS": 32,
            "MODEL.RESNETS.WIDTH_PER_GROUP": 8,
            "MODEL.RESNETS.DEPTH": 152,
            **DEFORM,
            "MODEL.ROI_HEADS.NAME": "CascadeROIHeads",
            **CONV_BOX_HEAD,
            **normed("GN", "ROI_BOX_HEAD", "ROI_MASK_HEAD"),
            "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": True,
            "MODEL.ROI_MASK_HEAD.NUM_CONV": 8,
            "MODEL.RPN.POST_NMS_TOPK_TRAIN": 2000,
            "SOLVER.IMS_PER_BATCH": 128,
            "SOLVER.STEPS": [35000, 45000],
            "SOLVER.MAX_ITER": 50000,
            "SOLVER.BASE_LR": 0.16,
            "INPUT.MIN_SIZE_TRAIN": [640, 864],
            "INPUT.MIN_SIZE_TRAIN_SAMPLING": "range",
            "INPUT.MAX_SIZE_TRAIN": 1440,
            "INPUT.CROP.ENABLED": True,
            "TEST.EVAL_PERIOD": 2500,
        },
    ),
    MISC + "mask_rcnn_R_50_FPN_1x_cls_agnostic": (
        "Base-RCNN-FPN",
        {
            **START,
            **MASK,
            "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": True,
            "MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK": True,
        },
    ),
    MISC + "mask_rcnn_R_50_FPN_1x_dconv_c3-c5": ("Base-RCNN-FPN", {**START, **MASK, **DEFORM}),
    MISC + "mask_rcnn_R_50_FPN_3x_dconv_c3-c5": ("Base-RCNN-FPN", {**START, **MASK, **DEFORM, **THREE}),
    MISC + "mask_rcnn_R_50_FPN_3x_gn": (
        "Base-RCNN-FPN",
        {
            "MODEL.WEIGHTS": "catalog://ImageNetPretrained/FAIR/R-50-GN",
            **MASK,
            "MODEL.RESNETS.STRIDE_IN_1X1": False,
            **normed("GN", "RESNETS", "FPN", "ROI_BOX_HEAD", "ROI_MASK_HEAD"),
            **CONV_BOX_HEAD,
            **THREE,
        },
    ),
    MISC + "mask_rcnn_R_50_FPN_3x_syncbn": (
        "Base-RCNN-FPN",
        {
            **START,
            **MASK,
            "MODEL.RESNETS.STRIDE_IN_1X1": True,
            **normed("SyncBN", "RESNETS", "FPN", "ROI_BOX_HEAD", "ROI_MASK_HEAD"),
            **CONV_BOX_HEAD,
            **THREE,
            "TEST.PRECISE_BN.ENABLED": True,
        },
    ),
    MISC + "scratch_mask_rcnn_R_50_FPN_3x_gn": (
        MISC + "mask_rcnn_R_50_FPN_3x_gn",
        {"MODEL.WEIGHTS": "", "MODEL.BACKBONE.FREEZE_AT": 0},
    ),
    MISC + "scratch_mask_rcnn_R_50_FPN_9x_gn": (
        MISC + "mask_rcnn_R_50_FPN_3x_gn",
        {
            "MODEL.PIXEL_STD": [57.375, 57.12, 58.395],
            "MODEL.WEIGHTS": "",
            "MODEL.BACKBONE.FREEZE_AT": 0,
            "SOLVER.IMS_PER_BATCH": 64,
            "SOLVER.STEPS": [187500, 197500],
            "SOLVER.MAX_ITER": 202500,
            "SOLVER.BASE_LR": 0.08,
            "TEST.EVAL_PERIOD": 2500,
        },
    ),
    MISC + "scratch_mask_rcnn_R_50_FPN_9x_syncbn": (
        MISC + "mask_rcnn_R_50_FPN_3x_syncbn",
        {
            "MODEL.PIXEL_STD": [57.375, 57.12, 58.395],
            "MODEL.WEIGHTS": "",
            "MODEL.BACKBONE.FREEZE_AT": 0,
            "MODEL.RESNETS.STRIDE_IN_1X1": False,
            "SOLVER.IMS_PER_BATCH": 64,
            "SOLVER.STEPS": [187500, 197500],
            "SOLVER.MAX_ITER": 202500,
            "SOLVER.BASE_LR": 0.08,
            "TEST.EVAL_PERIOD": 2500,
        },
    ),
    MISC + "panoptic_fpn_R_101_dconv_cascade_gn_3x": (
        "Base-Panoptic-FPN",
        {
            "MODEL.WEIGHTS": "catalog://ImageNetPretrained/FAIR/R-101-GN",
            "MODEL.RESNETS.DEPTH": 101,
            "MODEL.RESNETS.STRIDE_IN_1X1": False,
            **DEFORM,
            **normed("GN", "RESNETS", "FPN", "ROI_MASK_HEAD"),
            "MODEL.ROI_HEADS.NAME": "CascadeROIHeads",
            "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": True,
            "MODEL.RPN.POST_NMS_TOPK_TRAIN": 2000,
            "SOLVER.IMS_PER_BATCH": 32,
            "SOLVER.BASE_LR": 0.04,
            "SOLVER.STEPS": [105000, 125000],
            "SOLVER.MAX_ITER": 135000,
        },
    ),
    MISC + "semantic_R_50_FPN_1x": (
        "Base-RCNN-FPN",
        {
            "MODEL.META_ARCHITECTURE": "SemanticSegmentor",
            **START,
            "DATASETS.TRAIN": ["coco_2017_train_panoptic_stuffonly"],
            "DATASETS.TEST": ["coco_2017_val_panoptic_stuffonly"],
        },
    ),
}
