"""The keys that detectron2's projects add, with their default values, by project."""

from __future__ import annotations

from typing import Any

__all__ = ["PROJECTS"]


def _hrnet_stage(modules: int, branches: int) -> dict[str, Any]:
    return {
        "NUM_MODULES": modules,
        "NUM_BRANCHES": branches,
        "BLOCK": "BASIC",
        "NUM_BLOCKS": [4] * branches,
        "NUM_CHANNELS": [32 * 2**branch for branch in range(branches)],
        "FUSE_METHOD": "SUM",
    }


PROJECTS: dict[str, dict[str, Any]] = {
    "PointRend": {
        "INPUT": {"CROP": {"SINGLE_CATEGORY_MAX_AREA": 1.0}, "COLOR_AUG_SSD": False},
        "MODEL": {
            "ROI_MASK_HEAD": {
                "IN_FEATURES": ("p2",),
                "FC_DIM": 1024,
                "NUM_FC": 2,
                "OUTPUT_SIDE_RESOLUTION": 7,
                "POINT_HEAD_ON": False,
            },
            "POINT_HEAD": {
                "NAME": "StandardPointHead",
                "NUM_CLASSES": 80,
                "IN_FEATURES": ("p2",),
                "TRAIN_NUM_POINTS": 196,
                "OVERSAMPLE_RATIO": 3,
                "IMPORTANCE_SAMPLE_RATIO": 0.75,
                "SUBDIVISION_STEPS": 5,
                "SUBDIVISION_NUM_POINTS": 784,
                "FC_DIM": 256,
                "NUM_FC": 3,
                "CLS_AGNOSTIC_MASK": False,
                "COARSE_PRED_EACH_LAYER": True,
                "COARSE_SEM_SEG_HEAD_NAME": "SemSegFPNHead",
            },
            "IMPLICIT_POINTREND": {
                "IMAGE_FEATURE_ENABLED": True,
                "POS_ENC_ENABLED": True,
                "PARAMS_L2_REGULARIZER": 0.00001,
            },
        },
    },
    "PointSup": {"INPUT": {"POINT_SUP": False, "SAMPLE_POINTS": 0}},
    "DeepLab": {
        "INPUT": {"CROP": {"SINGLE_CATEGORY_MAX_AREA": 1.0}},
        "SOLVER": {"POLY_LR_POWER": 0.9, "POLY_LR_CONSTANT_ENDING": 0.0},
        "MODEL": {
            "RESNETS": {"RES4_DILATION": 1, "RES5_MULTI_GRID": [1, 2, 4], "STEM_TYPE": "deeplab"},
            "SEM_SEG_HEAD": {
                "LOSS_TYPE": "hard_pixel_mining",
                "PROJECT_FEATURES": ["res2"],
                "PROJECT_CHANNELS": [48],
                "ASPP_CHANNELS": 256,
                "ASPP_DILATIONS": [6, 12, 18],
                "ASPP_DROPOUT": 0.1,
                "USE_DEPTHWISE_SEPARABLE_CONV": False,
            },
        },
    },
    "Panoptic-DeepLab": {
        "INPUT": {
            "GAUSSIAN_SIGMA": 10,
            "IGNORE_STUFF_IN_OFFSET": True,
            "SMALL_INSTANCE_AREA": 4096,
            "SMALL_INSTANCE_WEIGHT": 3,
            "IGNORE_CROWD_IN_SEMANTIC": False,
        },
        "SOLVER": {"OPTIMIZER": "ADAM"},
        "MODEL": {
            "SEM_SEG_HEAD": {"HEAD_CHANNELS": 256, "LOSS_TOP_K": 0.2},
            "INS_EMBED_HEAD": {
                "NAME": "PanopticDeepLabInsEmbedHead",
                "IN_FEATURES": ["res2", "res3", "res5"],
                "PROJECT_FEATURES": ["res2", "res3"],
                "PROJECT_CHANNELS": [32, 64],
                "ASPP_CHANNELS": 256,
                "ASPP_DILATIONS": [6, 12, 18],
                "ASPP_DROPOUT": 0.1,
                "HEAD_CHANNELS": 32,
                "CONVS_DIM": 128,
                "COMMON_STRIDE": 4,
                "NORM": "SyncBN",
                "CENTER_LOSS_WEIGHT": 200.0,
                "OFFSET_LOSS_WEIGHT": 0.01,
            },
            "PANOPTIC_DEEPLAB": {
                "STUFF_AREA": 2048,
                "CENTER_THRESHOLD": 0.1,
                "NMS_KERNEL": 7,
                "TOP_K_INSTANCE": 200,
                "USE_DEPTHWISE_SEPARABLE_CONV": False,
                "SIZE_DIVISIBILITY": -1,
                "BENCHMARK_NETWORK_SPEED": False,
                "PREDICT_INSTANCES": True,
            },
        },
    },
    "TensorMask": {
        "MODEL": {
            "TENSOR_MASK": {
                "NUM_CLASSES": 80,
                "IN_FEATURES": ["p2", "p3", "p4", "p5", "p6", "p7"],
                "NUM_CONVS": 4,
                "CLS_CHANNELS": 256,
                "BBOX_CHANNELS": 128,
                "MASK_CHANNELS": 128,
                "SCORE_THRESH_TEST": 0.05,
                "TOPK_CANDIDATES_TEST": 6000,
                "NMS_THRESH_TEST": 0.5,
                "BBOX_REG_WEIGHTS": (1.5, 1.5, 0.75, 0.75),
                "FOCAL_LOSS_GAMMA": 3.0,
                "FOCAL_LOSS_ALPHA": 0.3,
                "MASK_LOSS_WEIGHT": 2.0,
                "POSITIVE_WEIGHT": 1.5,
                "ALIGNED_ON": False,
                "BIPYRAMID_ON": False,
            }
        }
    },
    "TridentNet": {
        "MODEL": {
            "TRIDENT": {
                "NUM_BRANCH": 3,
                "BRANCH_DILATIONS": [1, 2, 3],
                "TRIDENT_STAGE": "res4",
                "TEST_BRANCH_IDX": 1,
            }
        }
    },
    "DensePose": {
        "INPUT": {"ROTATION_ANGLES": [0]},
        "TEST": {"AUG": {"ROTATION_ANGLES": ()}},
        "DATASETS": {
            "CATEGORY_MAPS": {},
            "WHITELISTED_CATEGORIES": {},
            "CLASS_TO_MESH_NAME_MAPPING": {},
        },
        "DENSEPOSE_EVALUATION": {
            "TYPE": "iou",
            "STORAGE": "none",
            "MIN_IOU_THRESHOLD": 0.5,
            "DISTRIBUTED_INFERENCE": True,
            "EVALUATE_MESH_ALIGNMENT": False,
            "MESH_ALIGNMENT_MESH_NAMES": [],
        },
        "BOOTSTRAP_DATASETS": [],
        "BOOTSTRAP_MODEL": {"WEIGHTS": "", "DEVICE": "cuda"},
        "MODEL": {
            "DENSEPOSE_ON": True,
            "HRNET": {
                "STEM_INPLANES": 64,
                "STAGE2": _hrnet_stage(1, 2),
                "STAGE3": _hrnet_stage(4, 3),
                "STAGE4": _hrnet_stage(3, 4),
                "HRFPN": {"OUT_CHANNELS": 256},
            },
            "ROI_DENSEPOSE_HEAD": {
                "NAME": "",
                "NUM_STACKED_CONVS": 8,
                "NUM_PATCHES": 24,
                "DECONV_KERNEL": 4,
                "CONV_HEAD_DIM": 512,
                "CONV_HEAD_KERNEL": 3,
                "UP_SCALE": 2,
                "HEATMAP_SIZE": 112,
                "POOLER_TYPE": "ROIAlignV2",
                "POOLER_RESOLUTION": 28,
                "POOLER_SAMPLING_RATIO": 2,
                "NUM_COARSE_SEGM_CHANNELS": 2,
                "FG_IOU_THRESHOLD": 0.7,
                "INDEX_WEIGHTS": 5.0,
                "PART_WEIGHTS": 1.0,
                "POINT_REGRESSION_WEIGHTS": 0.01,
                "DECODER_ON": True,
                "DECODER_NUM_CLASSES": 256,
                "DECODER_CONV_DIMS": 256,
                "DECODER_NORM": "",
                "DECODER_COMMON_STRIDE": 4,
                "DEEPLAB": {"NORM": "GN", "NONLOCAL_ON": 0},
                "PREDICTOR_NAME": "DensePoseChartWithConfidencePredictor",
                "LOSS_NAME": "DensePoseChartWithConfidenceLoss",
                "COARSE_SEGM_TRAINED_BY_MASKS": False,
                "UV_CONFIDENCE": {"ENABLED": False, "EPSILON": 0.01, "TYPE": "iid_iso"},
                "SEGM_CONFIDENCE": {"ENABLED": False, "EPSILON": 0.01},
                "CSE": {
                    "EMBED_SIZE": 16,
                    "EMBEDDERS": {},
                    "EMBEDDING_DIST_GAUSS_SIGMA": 0.01,
                    "GEODESIC_DIST_GAUSS_SIGMA": 0.01,
                    "EMBED_LOSS_WEIGHT": 0.6,
                    "EMBED_LOSS_NAME": "EmbeddingLoss",
                    "FEATURES_LR_FACTOR": 1.0,
                    "EMBEDDING_LR_FACTOR": 1.0,
                    "SHAPE_TO_SHAPE_CYCLE_LOSS": {
                        "ENABLED": False,
                        "WEIGHT": 0.025,
                        "NORM_P": 2,
                        "TEMPERATURE": 0.05,
                        "MAX_NUM_VERTICES": 4936,
                    },
                    "PIX_TO_SHAPE_CYCLE_LOSS": {
                        "ENABLED": False,
                        "WEIGHT": 0.0001,
                        "NORM_P": 2,
                        "USE_ALL_MESHES_NOT_GT_ONLY": False,
                        "NUM_PIXELS_TO_SAMPLE": 100,
                        "PIXEL_SIGMA": 5.0,
                        "TEMPERATURE_PIXEL_TO_VERTEX": 0.05,
                        "TEMPERATURE_VERTEX_TO_PIXEL": 0.05,
                    },
                },
            },
        },
    },
}
"""Free dicts (`DATASETS.CATEGORY_MAPS`, ...) have keys of the user's own."""
