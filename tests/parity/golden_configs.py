"""Which entry of the zoo or config of a project, with which overrides, is the model of each golden file.

Those of detectors let nothing be sampled away, so the only randomness left is the order of sums.
"""

from pathlib import Path
from typing import Any

from lazycfg import LazyConfig, instantiate, model_zoo

ROOT = Path(__file__).parents[2]

RPN = [
    "model.proposal_generator.batch_size_per_image=40000",
    "model.proposal_generator.post_nms_topk=[100,60]",
]
THAWED = ["model.backbone.bottom_up.freeze_at=0"]
SMALL = ["model.backbone.square_pad=256"]


def rcnn(*predictors: str) -> list[str]:
    settings = [
        f"model.roi_heads.{predictor}.{setting}"
        for predictor in predictors
        for setting in ("test_score_thresh=0.02", "test_topk_per_image=30")
    ]
    return [*RPN, "model.roi_heads.batch_size_per_image=4096", *settings]


ONE = rcnn("box_predictor")
CASCADE = rcnn(*(f"box_predictors.{stage}" for stage in range(3)))

COCO_BOXES, COCO_MASKS = "COCO-Detection", "COCO-InstanceSegmentation"

CONFIGS: dict[str, tuple[str, list[str]]] = {
    "rpn_R_50_FPN": (f"{COCO_BOXES}/rpn_R_50_FPN_1x.py", RPN),
    "faster_rcnn_R_50_FPN": (f"{COCO_BOXES}/faster_rcnn_R_50_FPN_1x.py", ONE + THAWED),
    "faster_rcnn_R_50_DC5": (f"{COCO_BOXES}/faster_rcnn_R_50_DC5_1x.py", ONE),
    "rotated_faster_rcnn_R_50_FPN": (f"{COCO_BOXES}/rotated_faster_rcnn_R_50_FPN_1x.py", ONE),
    "mask_rcnn_R_50_FPN": (f"{COCO_MASKS}/mask_rcnn_R_50_FPN_1x.py", ONE),
    "mask_rcnn_R_50_C4": (f"{COCO_MASKS}/mask_rcnn_R_50_C4_1x.py", ONE),
    "mask_rcnn_R_50_FPN_dconv_c3-c5": ("Misc/mask_rcnn_R_50_FPN_1x_dconv_c3-c5.py", ONE),
    "mask_rcnn_R_50_FPN_mdconv_c3-c5": ("Misc/mask_rcnn_R_50_FPN_1x_mdconv_c3-c5.py", ONE),
    "cascade_mask_rcnn_R_50_FPN": ("Misc/cascade_mask_rcnn_R_50_FPN_1x.py", CASCADE + THAWED),
    "keypoint_rcnn_R_50_FPN": ("COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.py", ONE),
    "mask_rcnn_regnetx_4gf_FPN": (f"{COCO_MASKS}/mask_rcnn_regnetx_4gf_dds_fpn_1x.py", ONE),
    "mask_rcnn_regnety_4gf_FPN": (f"{COCO_MASKS}/mask_rcnn_regnety_4gf_dds_fpn_1x.py", ONE),
    "mask_rcnn_mvitv2_t": (
        "MViTv2/mask_rcnn_mvitv2_t_3x.py",
        [*ONE, "model.backbone.bottom_up.drop_path_rate=0.0"],
    ),
    "cascade_mask_rcnn_mvitv2_t": (
        "MViTv2/cascade_mask_rcnn_mvitv2_t_3x.py",
        [*CASCADE, "model.backbone.bottom_up.drop_path_rate=0.0"],
    ),
    "cascade_mask_rcnn_swin_tiny": (
        "ViTDet/cascade_mask_rcnn_swin_b_in21k_50ep.py",
        [
            *CASCADE,
            *SMALL,
            "model.backbone.bottom_up.depths=[2,2,6,2]",
            "model.backbone.bottom_up.embed_dim=96",
            "model.backbone.bottom_up.num_heads=[3,6,12,24]",
            "model.backbone.bottom_up.drop_path_rate=0.0",
        ],
    ),
    "mask_rcnn_vitdet_tiny": (
        "ViTDet/mask_rcnn_vitdet_b_100ep.py",
        [
            *ONE,
            *SMALL,
            "model.backbone.net.img_size=256",
            "model.backbone.net.embed_dim=96",
            "model.backbone.net.depth=4",
            "model.backbone.net.num_heads=4",
            "model.backbone.net.drop_path_rate=0.0",
            "model.backbone.net.window_size=6",
            "model.backbone.net.window_block_indexes=[0,2]",
        ],
    ),
    "retinanet_R_50_FPN": (f"{COCO_BOXES}/retinanet_R_50_FPN_1x.py", []),
    "fcos_R_50_FPN": (f"{COCO_BOXES}/fcos_R_50_FPN_1x.py", ["model.test_score_thresh=0.05"]),
    "semantic_R_50_FPN": ("Misc/semantic_R_50_FPN_1x.py", []),
    "panoptic_fpn_R_50": (
        "COCO-PanopticSegmentation/panoptic_fpn_R_50_1x.py",
        [*ONE, "model.combine_instances_score_thresh=0.1", "model.combine_stuff_area_thresh=256"],
    ),
    "mask_rcnn_R_50_FPN_BNhead": ("projects/rethinking_batchnorm/configs/mask_rcnn_BNhead.py", ONE),
    "retinanet_BNhead_SharedTraining": (
        "projects/rethinking_batchnorm/configs/retinanet_SyncBNhead_SharedTraining.py",
        ["model.head.norm=@torch.nn.BatchNorm2d"],
    ),
    "tensormask_R_50_FPN": (
        "projects/tensormask/configs/tensormask_R_50_FPN_1x.py",
        ["model.test_score_thresh=0.02"],
    ),
    "tridentnet_fast_R_50_C4": ("projects/tridentnet/configs/tridentnet_fast_R_50_C4_1x.py", ONE),
}


def golden_model(name: str) -> Any:
    """The model of a golden file, built."""
    entry, overrides = CONFIGS[name]
    cfg = LazyConfig.load(ROOT / entry) if entry.startswith("projects/") else model_zoo.get_config(entry)
    LazyConfig.apply_overrides(cfg, overrides)
    return instantiate(cfg.model)
