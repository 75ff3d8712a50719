"""Models, schedules and data that no config of detectron2 has: they build, and their files say the same."""

import pytest
import torch
from writing_yaml import write_yaml

from lazycfg import LazyConfig, instantiate
from lazycfg.convert.yacs import convert, read_yaml, translate, with_overrides
from lazycfg.inspection.equality import equal_configs

FPN = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x"
C4 = "COCO-InstanceSegmentation/mask_rcnn_R_50_C4_1x"
DC5 = "COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_1x"
LEVELS = "['p2','p3','p4','p5']"
ROTATED = {
    "MODEL.MASK_ON": "False",
    "MODEL.PROPOSAL_GENERATOR.NAME": "RRPN",
    "MODEL.ANCHOR_GENERATOR.NAME": "RotatedAnchorGenerator",
    "MODEL.RPN.BBOX_REG_WEIGHTS": "(1.0,1.0,1.0,1.0,1.0)",
    "MODEL.ROI_HEADS.NAME": "RROIHeads",
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIAlignRotated",
    "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": "(10.0,10.0,5.0,5.0,1.0)",
}
CASCADE = {"MODEL.ROI_HEADS.NAME": "CascadeROIHeads", "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": "True"}
FEDERATED = {
    "MODEL.ROI_BOX_HEAD.USE_FED_LOSS": "True",
    "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": "True",
    "MODEL.ROI_BOX_HEAD.FED_LOSS_NUM_CLASSES": "7",
}
VARIANTS = {
    "resnet18": (
        FPN,
        {"MODEL.RESNETS.DEPTH": "18", "MODEL.RESNETS.RES2_OUT_CHANNELS": "64"},
        {
            "backbone.bottom_up.res2.0.conv1.weight": [64, 64, 3, 3],
            "backbone.fpn_lateral5.weight": [256, 512, 1, 1],
        },
    ),
    "narrow": (
        FPN,
        {
            "MODEL.RESNETS.RES2_OUT_CHANNELS": "128",
            "MODEL.RESNETS.DEFORM_ON_PER_STAGE": "[False,False,False,True]",
        },
        {
            "backbone.bottom_up.res5.2.conv3.weight": [1024, 512, 1, 1],
            "backbone.bottom_up.res5.0.conv2_offset.weight": [18, 512, 3, 3],
        },
    ),
    "c4 of ResNeXt": (
        C4,
        {"MODEL.RESNETS.NUM_GROUPS": "32", "MODEL.RESNETS.WIDTH_PER_GROUP": "4"},
        {"roi_heads.res5.0.conv2.weight": [1024, 32, 3, 3]},
    ),
    "standard heads on one map": (
        C4,
        {
            "MODEL.ROI_HEADS.NAME": "StandardROIHeads",
            "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
            "MODEL.ROI_BOX_HEAD.NUM_CONV": "1",
            "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": "5",
            "MODEL.ROI_MASK_HEAD.NUM_CONV": "1",
        },
        {"roi_heads.box_predictor.cls_score.weight": [81, 256 * 25]},
    ),
    "cascade on a dilated stage": (
        DC5,
        {
            **CASCADE,
            "MODEL.ROI_BOX_CASCADE_HEAD.IOUS": "(0.5,0.7)",
            "MODEL.ROI_BOX_CASCADE_HEAD.BBOX_REG_WEIGHTS": "((10.,10.,5.,5.),(30.,30.,15.,15.))",
        },
        {"roi_heads.box_predictor.1.bbox_pred.weight": [4, 1024]},
    ),
    "rotated": (
        FPN,
        ROTATED,
        {
            "proposal_generator.rpn_head.anchor_deltas.weight": [45, 256, 1, 1],
            "roi_heads.box_predictor.bbox_pred.weight": [400, 1024],
        },
    ),
    "federated": (
        "LVISv1-InstanceSegmentation/mask_rcnn_R_50_FPN_1x",
        FEDERATED,
        {"roi_heads.box_predictor.fed_loss_cls_weights": [1203]},
    ),
    "masks and keypoints": (
        FPN,
        {"MODEL.KEYPOINT_ON": "True", "MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS": "5"},
        {"roi_heads.keypoint_head.score_lowres.weight": [512, 5, 4, 4]},
    ),
    "panoptic with weighted instances": (
        "COCO-PanopticSegmentation/panoptic_fpn_R_50_1x",
        {**CASCADE, "MODEL.PANOPTIC_FPN.INSTANCE_LOSS_WEIGHT": "0.5"},
        {"roi_heads.box_predictor.2.bbox_pred.weight": [4, 1024]},
    ),
    "retinanet of two ratios": (
        "COCO-Detection/retinanet_R_50_FPN_1x",
        {
            "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": "[[0.5,2.0]]",
            "MODEL.RETINANET.NUM_CONVS": "2",
            "MODEL.RETINANET.NUM_CLASSES": "3",
        },
        {"head.cls_score.weight": [18, 256, 3, 3]},
    ),
    "semantic on three levels": (
        "Misc/semantic_R_50_FPN_1x",
        {"MODEL.SEM_SEG_HEAD.IN_FEATURES": "['p2','p3','p4']", "MODEL.SEM_SEG_HEAD.NUM_CLASSES": "7"},
        {"sem_seg_head.predictor.weight": [7, 128, 1, 1]},
    ),
    "charts without the second stage of points": (
        "PointRend/InstanceSegmentation/pointrend_rcnn_R_50_FPN_1x_coco",
        {"MODEL.ROI_MASK_HEAD.POINT_HEAD_ON": "False"},
        {"roi_heads.mask_head.coarse_head.prediction.weight": [3920, 1024]},
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_builds_and_its_file_says_the_same(name, tmp_path):
    base, overrides, shapes = VARIANTS[name]
    words = [word for pair in overrides.items() for word in pair]
    path, written = write_yaml(base, tmp_path), tmp_path / "written.py"
    written.write_text(convert(path, words).text)
    cfg = LazyConfig.load(str(written))
    assert equal_configs(cfg, translate(with_overrides(read_yaml(path), words)))
    with torch.device("meta"):
        state = instantiate(cfg.model).state_dict()
    assert {key: list(state[key].shape) for key in shapes} == shapes


def cfg_of(folder, *overrides, base=FPN):
    return translate(with_overrides(read_yaml(write_yaml(base, folder)), overrides))


def rates(cfg, *where):
    multiplier = instantiate(cfg.lr_multiplier)
    return [round(cfg.optimizer.lr * multiplier(share), 6) for share in where]


def test_schedules(tmp_path):
    base = ["SOLVER.MAX_ITER", "1000", "SOLVER.WARMUP_ITERS", "100", "SOLVER.BASE_LR", "1.0"]
    steps = cfg_of(tmp_path, *base, "SOLVER.STEPS", "(500, 900, 5000)", "SOLVER.GAMMA", "0.5")
    assert rates(steps, 0.0, 0.05, 0.2, 0.6, 0.95) == [0.001, 0.5005, 1.0, 0.5, 0.25]
    cosine = cfg_of(
        tmp_path, *base, "SOLVER.LR_SCHEDULER_NAME", "WarmupCosineLR", "SOLVER.BASE_LR_END", "0.1"
    )
    assert rates(cosine, 0.5, 1.0) == [0.55, 0.1]
    equal = cfg_of(tmp_path, *base, "SOLVER.LR_SCHEDULER_NAME", "WarmupStepWithFixedGammaLR")
    assert rates(equal, 0.2, 0.3, 0.55, 0.8) == [1.0, 0.1, 0.01, 0.001]
    poly = cfg_of(tmp_path, *base, "SOLVER.LR_SCHEDULER_NAME", "WarmupPolyLR", "SOLVER.POLY_LR_POWER", "2.0")
    assert rates(poly, 0.5) == [0.25]
    constant = cfg_of(tmp_path, *base, "SOLVER.WARMUP_METHOD", "constant", "SOLVER.WARMUP_FACTOR", "0.25")
    assert rates(constant, 0.05, 0.2) == [0.25, 1.0]


def test_optimizer_and_run(tmp_path):
    cfg = cfg_of(
        tmp_path,
        *("SOLVER.BIAS_LR_FACTOR", "2.0", "SOLVER.WEIGHT_DECAY_BIAS", "0.5", "SOLVER.NESTEROV", "True"),
        *("SOLVER.CLIP_GRADIENTS.ENABLED", "True", "SOLVER.CLIP_GRADIENTS.CLIP_TYPE", "norm"),
        *("SOLVER.AMP.ENABLED", "True", "SEED", "7", "CUDNN_BENCHMARK", "True", "MODEL.DEVICE", "cpu"),
        *("TEST.EVAL_PERIOD", "70", "SOLVER.CHECKPOINT_PERIOD", "30", "OUTPUT_DIR", "out"),
    )
    with torch.device("meta"):
        cfg.optimizer.params.model = instantiate(cfg.model)
    groups = {(g["lr"], g["weight_decay"]) for g in instantiate(cfg.optimizer).param_groups}
    assert groups == {(0.02, 0.0001), (0.04, 0.5)}
    assert cfg.optimizer.nesterov is True
    assert type(instantiate(cfg.train.clip_grad)).__name__ == "ClipGradNormPerParameter"
    assert (cfg.train.amp.enabled, cfg.train.amp.dtype) == (True, "float16")
    assert (cfg.train.seed, cfg.train.cudnn_benchmark, cfg.train.device) == (7, True, "cpu")
    assert (cfg.train.eval_period, cfg.train.checkpointer.period, cfg.train.output_dir) == (70, 30, "out")


def test_other_optimizers(tmp_path):
    adamw = cfg_of(tmp_path, "SOLVER.OPTIMIZER", "ADAMW", "SOLVER.WEIGHT_DECAY", "0.05")
    assert adamw.optimizer._target_ is torch.optim.AdamW
    assert (adamw.optimizer.weight_decay, adamw.optimizer.params.weight_decay_norm) == (0.05, 0.0)
    assert cfg_of(tmp_path).optimizer._target_ is torch.optim.SGD


def test_augmentations(tmp_path):
    cfg = cfg_of(
        tmp_path,
        *("INPUT.CROP.ENABLED", "True", "INPUT.CROP.TYPE", "absolute", "INPUT.CROP.SIZE", "(300, 200)"),
        *("INPUT.RANDOM_FLIP", "vertical", "INPUT.MIN_SIZE_TRAIN", "(600, 700)"),
        *("INPUT.MIN_SIZE_TRAIN_SAMPLING", "range", "INPUT.MIN_SIZE_TEST", "0", "INPUT.FORMAT", "RGB"),
    )
    crop, resize, flip = cfg.dataloader.train.mapper.augmentations
    assert (crop.crop_type, crop.crop_size) == ("absolute", (300, 200))
    resize = instantiate(resize)
    assert (resize.short_edge_length, resize.sample_style, resize.max_size) == ((600, 700), "range", 1333)
    assert (flip.horizontal, flip.vertical) == (False, True)
    assert cfg.dataloader.train.mapper.recompute_boxes is True
    assert not cfg.dataloader.test.mapper.augmentations
    orders = cfg.model.input_format, cfg.dataloader.train.mapper.image_format
    assert {*orders, cfg.dataloader.test.mapper.image_format} == {"RGB"}
    cfg = cfg_of(tmp_path, "INPUT.RANDOM_FLIP", "none")
    assert [type(instantiate(a)).__name__ for a in cfg.dataloader.train.mapper.augmentations] == [
        "ResizeShortestEdge"
    ]


def test_the_sigmas_of_keypoints_reach_their_evaluator_beside_others(tmp_path):
    cfg = cfg_of(
        tmp_path,
        *("MODEL.KEYPOINT_ON", "True", "TEST.KEYPOINT_OKS_SIGMAS", str([0.5] * 17)),
        *("DATASETS.TEST", "('coco_2017_val_panoptic_separated',)"),
    )
    coco, *others = cfg.dataloader.evaluator
    assert coco.kpt_oks_sigmas == [0.5] * 17
    assert not any("kpt_oks_sigmas" in other for other in others)


def test_several_data_sets_are_joined(tmp_path):
    names = "('coco_2014_train', 'coco_2014_valminusminival')"
    cfg = cfg_of(tmp_path, "DATASETS.TRAIN", names, "DATALOADER.FILTER_EMPTY_ANNOTATIONS", "False")
    assert [part.name for part in cfg.dataloader.train.dataset.datasets] == [
        "coco_2014_train",
        "coco_2014_valminusminival",
    ]
    assert cfg.dataloader.train.dataset.datasets[1].image_root.endswith("coco/val2014")


def test_a_published_model_of_other_classes_is_read_without_what_depends_on_them(tmp_path):
    weights = "detectron2://COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x/137849600/model_final_f10217.pkl"
    cfg = cfg_of(tmp_path, "MODEL.WEIGHTS", weights, "MODEL.ROI_HEADS.NUM_CLASSES", "5")
    assert cfg.train.init_ignore == ["roi_heads.box_predictor.*", "roi_heads.mask_head.predictor.*"]
    assert cfg_of(tmp_path, "MODEL.WEIGHTS", weights).train.init_ignore == []
