"""The configs of detectron2's DensePose, as facts; see `reference_configs`."""

from reference_configs import (
    DEPTH_101,
    ONE,
    P2_TO_P5,
    R50,
    R101,
    SIZES,
    START,
    THREE,
)

HEAD = "MODEL.ROI_DENSEPOSE_HEAD."
DEEPLAB_HEAD = {HEAD + "NAME": "DensePoseDeepLabHead"}
V1_HEAD = {HEAD + "NAME": "DensePoseV1ConvXHead"}
CLIP = {
    "SOLVER.CLIP_GRADIENTS.ENABLED": True,
    "SOLVER.CLIP_GRADIENTS.CLIP_TYPE": "value",
    "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": 1.0,
}
S1X = {"SOLVER.MAX_ITER": 130000, "SOLVER.STEPS": [100000, 120000]}


def confidences(kind, *, segm):
    keys = {
        HEAD + "UV_CONFIDENCE.ENABLED": True,
        HEAD + "UV_CONFIDENCE.TYPE": kind,
        HEAD + "POINT_REGRESSION_WEIGHTS": 0.0005,
        **CLIP,
    }
    return {**keys, HEAD + "SEGM_CONFIDENCE.ENABLED": True} if segm else keys


CONFIDENCES = {
    "": {},
    "_WC1": confidences("iid_iso", segm=False),
    "_WC2": confidences("indep_aniso", segm=False),
    "_WC1M": confidences("iid_iso", segm=True),
    "_WC2M": confidences("indep_aniso", segm=True),
}
LEGACY = {
    **V1_HEAD,
    HEAD + "NUM_COARSE_SEGM_CHANNELS": 15,
    HEAD + "POOLER_RESOLUTION": 14,
    HEAD + "HEATMAP_SIZE": 56,
    HEAD + "INDEX_WEIGHTS": 2.0,
    HEAD + "PART_WEIGHTS": 0.3,
    HEAD + "POINT_REGRESSION_WEIGHTS": 0.1,
    HEAD + "DECODER_ON": False,
    "SOLVER.BASE_LR": 0.002,
    **S1X,
}
ANIMALS = list(range(16, 26))
CSE = HEAD + "CSE."
CLASSES = {
    "bear": ("bear_4936", 76),
    "cow": ("cow_5002", 80),
    "cat": ("cat_5001", 225),
    "dog": ("dog_5002", 378),
    "elephant": ("elephant_5002", 422),
    "giraffe": ("giraffe_5002", 496),
    "horse": ("horse_5004", 569),
    "sheep": ("sheep_5004", 943),
    "zebra": ("zebra_5002", 1202),
}
SOFT_TEACHER = "https://dl.fbaipublicfiles.com/densepose/cse/densepose_rcnn_R_50_FPN_soft_s1x/250533982/model_final_2c4512.pkl"
ALIGNED = {
    "DENSEPOSE_EVALUATION.EVALUATE_MESH_ALIGNMENT": True,
    "DENSEPOSE_EVALUATION.MESH_ALIGNMENT_MESH_NAMES": [
        *("bear_4936", "cow_5002", "cat_7466", "dog_7466", "elephant_5002"),
        *("giraffe_5002", "horse_5004", "sheep_5004", "zebra_5002"),
    ],
}


def embedders(*meshes):
    url = "https://dl.fbaipublicfiles.com/densepose/data/cse/lbo/"
    return {
        CSE + "EMBEDDERS": {
            name: {
                "TYPE": "vertex_feature",
                "NUM_VERTICES": int(name.rpartition("_")[2]),
                "FEATURE_DIM": 256,
                "FEATURES_TRAINABLE": False,
                "IS_TRAINABLE": True,
                "INIT_FILE": f"{url}phi_{name}_256.pkl",
            }
            for name in meshes
        },
    }


def soft(sigma):
    return {
        CSE + "EMBED_LOSS_NAME": "SoftEmbeddingLoss",
        CSE + "EMBEDDING_DIST_GAUSS_SIGMA": sigma,
        CSE + "GEODESIC_DIST_GAUSS_SIGMA": sigma,
    }


def animals(name, *, steps, one_class=False, others=()):
    meshes = [mesh.replace("t_5001", "t_7466").replace("g_5002", "g_7466") if name == "ds2" else mesh
              for mesh, _ in CLASSES.values()]  # fmt: skip
    ids = [number for _, number in CLASSES.values()]
    sets = [f"densepose_lvis_v1_{name}_{split}_v1" for split in ("train", "val")]
    keys = {
        "MODEL.WEIGHTS": SOFT_TEACHER,
        "MODEL.ROI_HEADS.NUM_CLASSES": 1 if one_class else 9,
        **embedders(*meshes, *others),
        **soft(0.1),
        HEAD + "COARSE_SEGM_TRAINED_BY_MASKS": True,
        "DATASETS.TRAIN": sets[:1],
        "DATASETS.TEST": sets[1:],
        "DATASETS.WHITELISTED_CATEGORIES": dict.fromkeys(sets, ids),
        "DATASETS.CLASS_TO_MESH_NAME_MAPPING": (
            {"0": "sheep_5004"} if one_class else {str(n): mesh for n, mesh in enumerate(meshes)}
        ),
        "SOLVER.STEPS": [steps * 3 // 4, steps * 7 // 8],
        "SOLVER.MAX_ITER": steps,
    }
    if one_class:
        keys["DATASETS.CATEGORY_MAPS"] = {split: {str(n): 943 for n in ids} for split in sets}
    return keys


def bootstrapped(sampler):
    return {
        "MODEL.WEIGHTS": TEACHER,
        "BOOTSTRAP_MODEL.WEIGHTS": TEACHER,
        "BOOTSTRAP_DATASETS": [
            {
                "DATASET": "chimpnsee",
                "RATIO": 1.0,
                "IMAGE_LOADER": {
                    "TYPE": "video_keyframe",
                    "SELECT": {"STRATEGY": "random_k", "NUM_IMAGES": 4},
                    "TRANSFORM": {"TYPE": "resize", "MIN_SIZE": 800, "MAX_SIZE": 1333},
                    "BATCH_SIZE": 8,
                    "NUM_WORKERS": 1,
                },
                "INFERENCE": {"INPUT_BATCH_SIZE": 1, "OUTPUT_BATCH_SIZE": 1},
                "DATA_SAMPLER": {"TYPE": f"densepose_{sampler}", "COUNT_PER_CLASS": 8},
                "FILTER": {"TYPE": "detection_score", "MIN_VALUE": 0.8},
            }
        ],
        HEAD + "INDEX_WEIGHTS": 5.0,
        "SOLVER.WARMUP_FACTOR": 0.001,
    }


EVOLUTION = "DensePose/evolution/densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA"
TEACHER = (
    "https://dl.fbaipublicfiles.com/densepose/evolution/densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA/"
    "217578784/model_final_9fe1cc.pkl"
)


def hrnet(width):
    levels = ["p1", "p2", "p3", "p4", "p5"]
    return {
        "MODEL.WEIGHTS": "https://1drv.ms/u/s!Aus8VCZ_C_33"
        + ("dYBMemi9xOUFR0w" if width == 32 else "dKvqI6pBZlifgJk"),
        "MODEL.BACKBONE.NAME": "build_hrfpn_backbone",
        "MODEL.RPN.IN_FEATURES": levels,
        "MODEL.ROI_HEADS.IN_FEATURES": levels,
        **V1_HEAD,
        **{
            f"MODEL.HRNET.STAGE{branches}.NUM_CHANNELS": [width * 2**n for n in range(branches)]
            for branches in (2, 3, 4)
        },
        **S1X,
        **CLIP,
        "SOLVER.CLIP_GRADIENTS.CLIP_TYPE": "norm",
        "SOLVER.BASE_LR": 0.03,
    }


DENSEPOSE_CONFIGS = {
    "Base-DensePose-RCNN-FPN": (
        None,
        {
            "VERSION": 2,
            "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
            "MODEL.BACKBONE.NAME": "build_resnet_fpn_backbone",
            "MODEL.RESNETS.OUT_FEATURES": ["res2", "res3", "res4", "res5"],
            "MODEL.FPN.IN_FEATURES": ["res2", "res3", "res4", "res5"],
            "MODEL.ANCHOR_GENERATOR.SIZES": [[32], [64], [128], [256], [512]],
            "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [[0.5, 1.0, 2.0]],
            "MODEL.RPN.IN_FEATURES": [*P2_TO_P5, "p6"],
            "MODEL.RPN.PRE_NMS_TOPK_TRAIN": 2000,
            "MODEL.RPN.PRE_NMS_TOPK_TEST": 1000,
            "MODEL.RPN.POST_NMS_TOPK_TRAIN": 1000,
            "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
            "MODEL.DENSEPOSE_ON": True,
            "MODEL.ROI_HEADS.NAME": "DensePoseROIHeads",
            "MODEL.ROI_HEADS.IN_FEATURES": P2_TO_P5,
            "MODEL.ROI_HEADS.NUM_CLASSES": 1,
            "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
            "MODEL.ROI_BOX_HEAD.NUM_FC": 2,
            "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 7,
            "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": 2,
            "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIAlign",
            HEAD + "NAME": "DensePoseV1ConvXHead",
            HEAD + "POOLER_TYPE": "ROIAlign",
            HEAD + "NUM_COARSE_SEGM_CHANNELS": 2,
            "DATASETS.TRAIN": ["densepose_coco_2014_train", "densepose_coco_2014_valminusminival"],
            "DATASETS.TEST": ["densepose_coco_2014_minival"],
            **ONE,
            "SOLVER.BASE_LR": 0.01,
            "SOLVER.WARMUP_FACTOR": 0.1,
            **SIZES,
        },
    ),
    **{
        f"DensePose/densepose_rcnn_R_{depth}_FPN_{head}{kind}_s1x".replace("__", "_"): (
            "Base-DensePose-RCNN-FPN",
            {
                "MODEL.WEIGHTS": R50 if depth == 50 else R101,
                "MODEL.RESNETS.DEPTH": depth,
                **(DEEPLAB_HEAD if head else V1_HEAD),
                **S1X,
                **more,
                **({"SOLVER.WARMUP_FACTOR": 0.025} if kind and not head else {}),
                **(
                    {"SOLVER.CLIP_GRADIENTS.CLIP_TYPE": "norm", "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": 100.0}
                    if (depth, head, kind) == (50, "", "_WC1M")
                    else {}
                ),
            },
        )
        for depth in (50, 101)
        for head in ("", "DL")
        for kind, more in CONFIDENCES.items()
    },
    "DensePose/densepose_rcnn_R_50_FPN_s1x_legacy": ("Base-DensePose-RCNN-FPN", {**START, **LEGACY}),
    "DensePose/densepose_rcnn_R_101_FPN_s1x_legacy": ("Base-DensePose-RCNN-FPN", {**DEPTH_101, **LEGACY}),
    **{
        f"DensePose/HRNet/densepose_rcnn_HRFPN_HRNet_w{width}_s1x": ("Base-DensePose-RCNN-FPN", hrnet(width))
        for width in (32, 40, 48)
    },
    "Base-DensePose-RCNN-FPN-CSE": (
        "Base-DensePose-RCNN-FPN",
        {
            HEAD + "PREDICTOR_NAME": "DensePoseEmbeddingPredictor",
            HEAD + "LOSS_NAME": "DensePoseCseLoss",
            "DATASETS.TRAIN": ["densepose_coco_2014_train_cse", "densepose_coco_2014_valminusminival_cse"],
            "DATASETS.TEST": ["densepose_coco_2014_minival_cse"],
            **CLIP,
            "SOLVER.CLIP_GRADIENTS.CLIP_TYPE": "norm",
            "DENSEPOSE_EVALUATION.TYPE": "cse",
            "DENSEPOSE_EVALUATION.STORAGE": "file",
            **S1X,
        },
    ),
    **{
        f"DensePose/cse/densepose_rcnn_R_{depth}_FPN_{head}{kind}s1x": (
            "Base-DensePose-RCNN-FPN-CSE",
            {
                "MODEL.WEIGHTS": R50 if depth == 50 else R101,
                "MODEL.RESNETS.DEPTH": depth,
                **(DEEPLAB_HEAD if head else V1_HEAD),
                **embedders("smpl_27554"),
                "DATASETS.CLASS_TO_MESH_NAME_MAPPING": {"0": "smpl_27554"},
                **(soft(0.01) if kind else {}),
            },
        )
        for depth in (50, 101)
        for head in ("", "DL_")
        for kind in ("", "soft_")
    },
    "DensePose/cse/densepose_rcnn_R_50_FPN_soft_chimps_finetune_4k": (
        "Base-DensePose-RCNN-FPN-CSE",
        {
            "MODEL.WEIGHTS": SOFT_TEACHER,
            "MODEL.RESNETS.DEPTH": 50,
            **embedders("chimp_5029"),
            **soft(0.1),
            "DATASETS.TRAIN": ["densepose_chimps_cse_train"],
            "DATASETS.TEST": ["densepose_chimps_cse_val"],
            "DATASETS.CLASS_TO_MESH_NAME_MAPPING": {"0": "chimp_5029"},
            "SOLVER.STEPS": [3000, 3500],
            "SOLVER.MAX_ITER": 4000,
        },
    ),
    **{
        f"DensePose/cse/densepose_rcnn_R_50_FPN_soft_animals_{kind}": (
            "Base-DensePose-RCNN-FPN-CSE",
            {"MODEL.RESNETS.DEPTH": 50, **keys},
        )
        for kind, keys in {
            "finetune_4k": animals("ds1", steps=4000),
            "CA_finetune_4k": animals("ds1", steps=4000, one_class=True),
            "finetune_16k": animals("ds2", steps=16000),
            "CA_finetune_16k": animals("ds2", steps=16000, one_class=True),
            "I0_finetune_i2m_16k": {
                **animals("ds2", steps=16000),
                CSE + "PIX_TO_SHAPE_CYCLE_LOSS.ENABLED": True,
                CSE + "PIX_TO_SHAPE_CYCLE_LOSS.USE_ALL_MESHES_NOT_GT_ONLY": True,
                **ALIGNED,
            },
            "I0_finetune_m2m_16k": {
                **animals("ds2", steps=16000, others=["smpl_27554"]),
                CSE + "SHAPE_TO_SHAPE_CYCLE_LOSS.ENABLED": True,
                **ALIGNED,
            },
        }.items()
    },
    "Base-RCNN-FPN-Atop10P_CA": (
        None,
        {
            "VERSION": 2,
            "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
            "MODEL.BACKBONE.NAME": "build_resnet_fpn_backbone",
            "MODEL.RESNETS.OUT_FEATURES": ["res2", "res3", "res4", "res5"],
            "MODEL.FPN.IN_FEATURES": ["res2", "res3", "res4", "res5"],
            "MODEL.ANCHOR_GENERATOR.SIZES": [[32], [64], [128], [256], [512]],
            "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [[0.5, 1.0, 2.0]],
            "MODEL.RPN.IN_FEATURES": [*P2_TO_P5, "p6"],
            "MODEL.RPN.PRE_NMS_TOPK_TRAIN": 2000,
            "MODEL.RPN.PRE_NMS_TOPK_TEST": 1000,
            "MODEL.RPN.POST_NMS_TOPK_TRAIN": 1000,
            "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
            "MODEL.ROI_HEADS.NAME": "StandardROIHeads",
            "MODEL.ROI_HEADS.IN_FEATURES": P2_TO_P5,
            "MODEL.ROI_HEADS.NUM_CLASSES": 1,
            "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
            "MODEL.ROI_BOX_HEAD.NUM_FC": 2,
            "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 7,
            "MODEL.ROI_MASK_HEAD.NAME": "MaskRCNNConvUpsampleHead",
            "MODEL.ROI_MASK_HEAD.NUM_CONV": 4,
            "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": 14,
            "DATASETS.TRAIN": ["base_coco_2017_train", "densepose_coco_2014_train"],
            "DATASETS.TEST": ["densepose_chimps"],
            "DATASETS.CATEGORY_MAPS": {
                f"base_coco_2017_{split}": dict.fromkeys(map(str, ANIMALS), 1) for split in ("train", "val")
            },
            "DATASETS.WHITELISTED_CATEGORIES": {
                f"base_coco_2017_{split}": [1, *ANIMALS] for split in ("train", "val")
            },
            **ONE,
            **SIZES,
        },
    ),
    EVOLUTION: (
        "Base-RCNN-FPN-Atop10P_CA",
        {
            **START,
            "MODEL.RESNETS.DEPTH": 50,
            "MODEL.DENSEPOSE_ON": True,
            "MODEL.ROI_HEADS.NAME": "DensePoseROIHeads",
            **DEEPLAB_HEAD,
            HEAD + "COARSE_SEGM_TRAINED_BY_MASKS": True,
            HEAD + "INDEX_WEIGHTS": 1.0,
            HEAD + "POOLER_TYPE": "ROIAlign",
            **CONFIDENCES["_WC1M"],
            "SOLVER.WARMUP_FACTOR": 0.025,
            "SOLVER.BASE_LR": 0.02,
            **THREE,
            "DENSEPOSE_EVALUATION.EVALUATE_MESH_ALIGNMENT": False,
            "DENSEPOSE_EVALUATION.MIN_IOU_THRESHOLD": 0.2,
        },
    ),
    **{
        f"{EVOLUTION}_B_{suffix}": (EVOLUTION, bootstrapped(sampler))
        for suffix, sampler in (
            ("uniform", "uniform"),
            ("uv", "UV_confidence"),
            ("finesegm", "fine_segm_confidence"),
            ("coarsesegm", "coarse_segm_confidence"),
        )
    },
}
